/**
 * A worker's line to the process above it. Where that is gone, the worker ends, too: nobody would start it anew.
 */
import process from "node:process"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Report, WorkerReport } from "../../internal/workerReports.ts"
import type { Interruption } from "../../SpotNotice.ts"
import { Calls } from "./calls.ts"
import { type Forced, type FromWorker, isToWorker, ownNumber } from "./messages.ts"

/** How long the others may take to tell of themselves, ms. */
const gatherMs = 3000

export interface Link {
  readonly worker: number
  /** Ends when EC2 told one of the workers that it ends the host. */
  readonly interruption: Effect.Effect<Interruption>
  readonly interrupted: (interruption: Interruption) => void
  readonly listening: () => void
  /** What all workers tell, this one among them; this one alone when no answer comes. */
  readonly gather: () => Promise<ReadonlyArray<WorkerReport>>
  /** Passes an operator's word on to the others. */
  readonly force: (forced: Forced) => void
  /** @param onForce told of an operator's word that another worker was given */
  readonly attend: (own: () => Report, onForce: (forced: Forced) => void) => void
}

/** Undefined: this process is no worker. */
export const open = (): Link | undefined => {
  const worker = ownNumber()
  if (worker === undefined) return undefined
  const interrupted = Deferred.unsafeMake<Interruption>(FiberId.none)
  const calls = new Calls<ReadonlyArray<WorkerReport>>()
  let own: (() => Report) | undefined
  let onForce: ((forced: Forced) => void) | undefined
  const tell = (message: FromWorker): void => {
    // Where the other end has gone, `disconnect` says so.
    if (process.connected) process.send?.(message)
  }
  process.on("message", (message: unknown) => {
    if (!isToWorker(message)) return
    switch (message._tag) {
      case "Interrupted":
        return Deferred.unsafeDone(interrupted, Effect.succeed(message.interruption))
      case "Tell":
        if (own !== undefined) tell({ _tag: "Report", call: message.call, report: own() })
        return
      case "Gathered":
        return calls.answer(message.call, message.workers)
      case "Force":
        return onForce?.(message.forced)
    }
  })
  const end = () => process.kill(process.pid, "SIGTERM")
  process.once("disconnect", end)
  // Deno has told already, to nobody.
  if (!process.connected) end()
  const alone = (): ReadonlyArray<WorkerReport> => [{ worker, restarts: 0, report: own?.() }]
  return {
    worker,
    interruption: Deferred.await(interrupted),
    interrupted: interruption => tell({ _tag: "Interrupted", interruption }),
    listening: () => tell({ _tag: "Listening" }),
    gather: () => calls.ask(gatherMs, alone, call => tell({ _tag: "Gather", call })),
    force: forced => tell({ _tag: "Force", forced }),
    attend: (report, forced) => {
      own = report
      onForce = forced
    }
  }
}
