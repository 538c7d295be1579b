/**
 * Publishing through the service, and what it answers for each record.
 */

/** `refused`: no answer, or one that says it was not the record's fault (429, 5xx). Not published. */
export type Fate = "delivered" | "diverted" | "spooled" | "rejected" | "refused"

export interface PublishRequest {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export interface PublishResult {
  readonly fate: Fate
  /** Of delivered records. */
  readonly partition?: number
  readonly offset?: number
  /** Why it was refused or rejected. */
  readonly reason?: string
}

const requestTimeoutMs = 15_000

const fates: ReadonlySet<string> = new Set(["delivered", "diverted", "spooled", "rejected", "refused"])
const isFate = (text: unknown): text is Fate => typeof text === "string" && fates.has(text)

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? Reflect.get(value, name) : undefined

/** What a result of the service says of its record; `failed` is retryable, so not its fault. */
const resultOf = (result: unknown): PublishResult => {
  const outcome = member(result, "outcome")
  const fate = outcome === "failed" ? "refused" : outcome
  if (!isFate(fate)) {
    throw new Error(`the service answered a result without an outcome: ${JSON.stringify(result)?.slice(0, 300)}`)
  }
  const [partition, offset, reason] = [member(result, "partition"), member(result, "offset"), member(result, "reason")]
  return {
    fate,
    ...(typeof partition === "number" ? { partition } : {}),
    ...(typeof offset === "string" ? { offset: Number(offset) } : {}),
    ...(typeof reason === "string" ? { reason } : {})
  }
}

/** One POST of `records` records; a result for each. Fails when an answer to well-formed records cannot be understood. */
export const publishOverHttp = async (
  url: string,
  records: number,
  request: PublishRequest
): Promise<ReadonlyArray<PublishResult>> => {
  const refused = (reason: string) => Array.from({ length: records }, () => ({ fate: "refused", reason }) as const)
  let status: number
  let text: string
  try {
    const signal = AbortSignal.timeout(requestTimeoutMs)
    const response = await fetch(url, { method: "POST", ...request, signal })
    status = response.status
    text = await response.text()
  } catch (error) {
    return refused(error instanceof Error ? error.name : "no answer")
  }
  if (status >= 500 || status === 429) return refused(`status ${status}`)
  if (status < 200 || status > 299) {
    if (records === 1) return [{ fate: "rejected", reason: `status ${status}` }]
    throw new Error(`the service answered ${status} to well-formed records: ${text.slice(0, 300)}`)
  }
  const answer: unknown = JSON.parse(text)
  if (records === 1) return [resultOf(answer)]
  const results = member(answer, "results")
  if (!Array.isArray(results) || results.length !== records) {
    throw new Error(`the service answered ${status} to ${records} records with ${text.slice(0, 300)}`)
  }
  return results.map(resultOf)
}
