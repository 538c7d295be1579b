/**
 * Latency at a rate that is kept whatever the answers are. It counts from when a record was due, not from when it was
 * handed over, so that a client that falls behind pays for all who wait (no coordinated omission).
 */
import * as Effect from "effect/Effect"
import { eventCount, events } from "./events.ts"
import { withKafkaJs } from "./kafkajs.ts"
import { Latencies } from "./Latencies.ts"
import { withPlatformatic } from "./platformatic.ts"
import { arrayLength, inFlight, type WithClient } from "./senders.ts"
import { makeBreaker, makeKafka, makeProducer } from "./spillwayRows.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

/** Records handed over and not yet settled at most. */
const outstandingLimit = 100_000
/** How long the clients that send arrays collect records for one: as long as Spillway and franz-go do. */
const collectMs = 5

/** Hands over records from `first` on, `due` at most; how many it took. `settle` is for each of them. */
type Take = (first: number, due: number) => number

/**
 * Wakes every millisecond and hands over what has become due since, until the whole window has been. Record `i` is due at
 * `i / rate`.
 */
const keepRate = async (job: Job, use: (settle: (record: number) => void, flow: Flow) => Take): Promise<Measured> => {
  const { measureMs, rate = 0, warmUpMs } = job
  const perMs = rate / 1000
  const windowFrom = Math.ceil(warmUpMs * perMs)
  const last = Math.floor((warmUpMs + measureMs) * perMs)
  const flow = new Flow()
  const latencies = new Latencies()
  let startedAt = 0
  let settled = 0
  let taken = 0
  const settle = (record: number) => {
    settled++
    flow.acknowledged++
    if (record >= windowFrom) latencies.add(performance.now() - startedAt - record / perMs)
  }
  const take = use(settle, flow)
  const start = () =>
    new Promise<void>(resolve => {
      startedAt = performance.now()
      const timer = setInterval(() => {
        const due = Math.min(last, Math.floor((performance.now() - startedAt) * perMs))
        taken += take(taken, Math.min(due, settled + flow.failed + outstandingLimit) - taken)
        if (settled + flow.failed < last) return
        clearInterval(timer)
        resolve()
      }, 1)
    })
  const measured = await measure(job, flow, start)
  return { ...measured, latencyMs: latencies.quantiles() }
}

const runSpillway = (job: Job): Promise<Measured> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const producer = yield* makeProducer(job, yield* makeKafka(job), yield* makeBreaker)
        yield* Effect.orDie(producer.reach)
        const values = events(job.size)
        const use = (settle: (record: number) => void, flow: Flow): Take => {
          return (first, due) => {
            for (let record = first; record < first + due; record++) {
              producer.offer(
                { topic: job.topic, key: null, value: values[record & (eventCount - 1)] ?? null },
                outcome => {
                  if (outcome._tag === "Receipt") settle(record)
                  else flow.fail(outcome)
                }
              )
            }
            return due
          }
        }
        return yield* Effect.promise(() => keepRate(job, use))
      })
    )
  )

/** What is due is sent when it fills an array or has waited long enough, and fewer than five are under way. */
const runArrays = (job: Job, client: WithClient): Promise<Measured> =>
  client(job, send =>
    keepRate(job, (settle, flow) => {
      const most = arrayLength(job.size)
      let underWay = 0
      let waitingSince: number | undefined
      const sendOne = async (first: number, count: number): Promise<void> => {
        underWay++
        try {
          await send(count)
          for (let record = first; record < first + count; record++) settle(record)
        } catch (cause) {
          for (let record = 0; record < count; record++) flow.fail(cause)
        }
        underWay--
      }
      return (first, due) => {
        const now = performance.now()
        if (due > 0) waitingSince ??= now
        let taken = 0
        while (underWay < inFlight && taken < due) {
          const count = Math.min(most, due - taken)
          if (count < most && waitingSince !== undefined && now - waitingSince < collectMs) break
          void sendOne(first + taken, count)
          taken += count
          waitingSince = taken < due ? now : undefined
        }
        return taken
      }
    })
  )

export const runLatency = (job: Job): Promise<Measured> => {
  switch (job.name) {
    case "latency-offer":
      return runSpillway(job)
    case "latency-kafkajs":
      return runArrays(job, withKafkaJs)
    case "latency-platformatic":
      return runArrays(job, withPlatformatic)
    default:
      throw new Error(`no latency is measured of ${job.name}`)
  }
}
