/** What one report holds. */
export interface TestCounts {
  readonly passed: number
  readonly skipped: number
  readonly failures: ReadonlyArray<{ readonly name: string; readonly message: string }>
}

export declare const countTests: (xml: string) => TestCounts
