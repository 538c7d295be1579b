/** What the clients that send arrays have in common: how large they are, and how many are under way at a time. */
import { Flow, type Job, type Measured, measure } from "./window.ts"

/** Sends so many of the events, each with an id of its own, as one array. */
export type Send = (count: number) => Promise<unknown>
/** Connects a client, has it used and closes it. */
export type WithClient = (job: Job, use: (send: Send) => Promise<Measured>) => Promise<Measured>

export const inFlight = 5
/** Records of an array. It may all go into one partition, whose batches are of 1 MB at most. */
export const arrayLength = (size: number): number => Math.min(1000, Math.floor(1_000_000 / size))

/** One array after the other, so many at a time. */
export const runArrays = (job: Job, client: WithClient): Promise<Measured> =>
  client(job, send => {
    const flow = new Flow()
    const count = arrayLength(job.size)
    const sender = async () => {
      while (flow.running) {
        try {
          await send(count)
          flow.acknowledged += count
        } catch (cause) {
          flow.fail(cause)
        }
      }
    }
    return measure(job, flow, () => Promise.all(Array.from({ length: inFlight }, sender)))
  })
