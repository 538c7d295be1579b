/**
 * The ways to publish, with a span for each record that is sampled. The others go straight through.
 */
import * as Effect from "effect/Effect"
import type { Callback, Service as Producer } from "../Producer.ts"
import type { ProducerRecord } from "../Record.ts"
import type { Service as Tracing } from "../Tracing.ts"

export type Publishing = Pick<Producer, "offer" | "publish" | "publishAll" | "publishPromise">

export const tracedPublishing = (inner: Publishing, tracing: Tracing): Publishing => {
  const offer = (record: ProducerRecord, callback: Callback): void => {
    const span = tracing.publish(record)
    if (span === undefined) return inner.offer(record, callback)
    inner.offer(span.record, outcome => {
      try {
        span.end(outcome)
      } finally {
        callback(outcome)
      }
    })
  }
  const publish: Publishing["publish"] = record =>
    tracing.concerns(record)
      ? Effect.async(resume => {
          offer(record, outcome => resume(outcome._tag === "Receipt" ? Effect.succeed(outcome) : Effect.fail(outcome)))
        })
      : inner.publish(record)
  return {
    offer,
    publish,
    publishAll: records =>
      records.some(tracing.concerns)
        ? Effect.forEach(records, record => Effect.merge(publish(record)), { concurrency: "unbounded" })
        : inner.publishAll(records),
    publishPromise: record =>
      tracing.concerns(record)
        ? new Promise((resolve, reject) => {
            offer(record, outcome => (outcome._tag === "Receipt" ? resolve(outcome) : reject(outcome)))
          })
        : inner.publishPromise(record)
  }
}
