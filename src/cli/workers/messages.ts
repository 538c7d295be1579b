/**
 * What a worker and the process above it tell each other, as JSON over the runtime's own channel between the two.
 */
import process from "node:process"
import type { Report, WorkerReport } from "../../internal/workerReports.ts"
import type { Interruption } from "../../SpotNotice.ts"

export interface Forced {
  readonly connection: string
  readonly state: "open" | "closed" | undefined
}

export type FromWorker =
  | { readonly _tag: "Listening" }
  /** EC2 ends the host. */
  | { readonly _tag: "Interrupted"; readonly interruption: Interruption }
  /** It was asked for what all of them tell. */
  | { readonly _tag: "Gather"; readonly call: number }
  | { readonly _tag: "Report"; readonly call: number; readonly report: Report }
  /** An operator's word, which is meant for all. */
  | { readonly _tag: "Force"; readonly forced: Forced }

export type ToWorker =
  | { readonly _tag: "Interrupted"; readonly interruption: Interruption }
  | { readonly _tag: "Tell"; readonly call: number }
  | { readonly _tag: "Gathered"; readonly call: number; readonly workers: ReadonlyArray<WorkerReport> }
  | { readonly _tag: "Force"; readonly forced: Forced }

const tagged = (message: unknown, tags: ReadonlySet<string>): boolean =>
  typeof message === "object" &&
  message !== null &&
  "_tag" in message &&
  typeof message._tag === "string" &&
  tags.has(message._tag)

const fromWorker = new Set<FromWorker["_tag"]>(["Listening", "Interrupted", "Gather", "Report", "Force"])
const toWorker = new Set<ToWorker["_tag"]>(["Interrupted", "Tell", "Gathered", "Force"])

/** Both ends are the same program: the tag says it all. */
export const isFromWorker = (message: unknown): message is FromWorker => tagged(message, fromWorker)
export const isToWorker = (message: unknown): message is ToWorker => tagged(message, toWorker)

/** Says to a process which worker it is. */
export const variable = "SPILLWAY_WORKER"

/** Which worker this process is; undefined: none. */
export const ownNumber = (): number | undefined => {
  const text = process.env[variable]
  return text === undefined || process.send === undefined ? undefined : Number(text)
}
