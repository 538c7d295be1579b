/**
 * Publishing by a Spillway of this process.
 */
import type { Outcome } from "../../Receipt.ts"
import type { Service as Spillway } from "../../Spillway.ts"
import type { Result, Send } from "./Result.ts"

const resultOf = (outcome: Outcome, id: string): Result =>
  outcome._tag === "Receipt"
    ? outcome.toJSON()
    : { outcome: outcome.rejected ? "rejected" : "failed", id, reason: outcome.reason, message: outcome.message }

export const make =
  ({ offer }: Pick<Spillway, "offer">): Send =>
  records =>
    new Promise(resolve => {
      const results = new Array<Result>(records.length)
      let left = records.length
      records.forEach(({ record }, index) => {
        offer(record, outcome => {
          results[index] = resultOf(outcome, record.id)
          if (--left === 0) resolve({ results })
        })
      })
    })
