/**
 * What one contender answers, and the window in which acknowledged records are counted: after the warm-up, with the flow
 * neither starting nor ending inside it.
 */
import type { Quantiles } from "./Latencies.ts"

/** What a contender is told, as the JSON argument of its process. */
export interface Job {
  readonly name: string
  /** Bytes of a value. */
  readonly size: number
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
  readonly warmUpMs: number
  readonly measureMs: number
  /** Base URL of the SQS server, for the rows that need one. */
  readonly sqs?: string
  /** Records per second to keep to, for the rows that do. */
  readonly rate?: number
  /** Of record batches; none when left out. */
  readonly compression?: "none" | "gzip" | "snappy" | "lz4" | "zstd"
}

/** What the process took at one moment. */
export interface Memory {
  /** Since the flow began. */
  readonly seconds: number
  readonly rssMiB: number
  readonly heapMiB: number
}

/** What it prints as the last line. */
export interface Measured {
  readonly recordsPerSecond: number
  /** CPU time of the contender's own process per acknowledged record, microseconds. */
  readonly cpuMicrosPerRecord?: number
  /** Requests as SQS bills them (64 KiB each) per million records. */
  readonly billedPerMillion?: number
  /** Of the contender's own process, from before the flow began. */
  readonly memory?: ReadonlyArray<Memory>
  /** From when a record was due until it was acknowledged, of the rows that keep to a rate. */
  readonly latencyMs?: Quantiles
  /** Bytes of record batches, as they go over the wire, per acknowledged record. */
  readonly wireBytesPerRecord?: number
}

/** Acknowledged records so far, and whether to go on offering. */
export class Flow {
  acknowledged = 0
  failed = 0
  running = true
  /** Why the first failed one failed. */
  firstFailure: unknown
  /** Record batches delivered, where the client tells: records and bytes. */
  records = 0
  bytes = 0

  readonly delivered = (records: number, bytes: number): void => {
    this.records += records
    this.bytes += bytes
  }

  readonly fail = (cause: unknown): void => {
    this.failed++
    this.firstFailure ??= cause
  }
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** CPU time so far, microseconds. */
const ownCpu = async (): Promise<number> => {
  const { system, user } = process.cpuUsage()
  return user + system
}

/** Looks at the process's memory at once and then `everyMs`. */
const watchMemory = (everyMs: number): (() => ReadonlyArray<Memory>) => {
  const samples: Array<Memory> = []
  const from = performance.now()
  const look = () => {
    const { heapUsed, rss } = process.memoryUsage()
    const mebibytes = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10
    const seconds = Math.round(performance.now() - from) / 1000
    samples.push({ seconds, rssMiB: mebibytes(rss), heapMiB: mebibytes(heapUsed) })
  }
  look()
  const timer = setInterval(look, everyMs)
  return () => {
    clearInterval(timer)
    return samples
  }
}

/**
 * Runs `start` (which offers until `running` is false) and counts what is acknowledged between the two marks.
 *
 * @param cpu CPU time of the process that is measured, microseconds; this one's by default
 */
export const measure = async (
  job: Job,
  flow: Flow,
  start: () => Promise<unknown>,
  cpu: () => Promise<number> = ownCpu
): Promise<Measured> => {
  // Another process's memory is not seen from here.
  const memory = cpu === ownCpu ? watchMemory(100) : undefined
  const ended = start()
  await pause(job.warmUpMs)
  const from = { cpu: await cpu(), acknowledged: flow.acknowledged, at: performance.now() }
  await pause(job.measureMs)
  const seconds = (performance.now() - from.at) / 1000
  const records = flow.acknowledged - from.acknowledged
  const cpuMicros = (await cpu()) - from.cpu
  flow.running = false
  const samples = memory?.()
  await ended
  if (flow.failed > 0) {
    throw new Error(`${flow.failed} records of ${job.name} were not acknowledged: ${String(flow.firstFailure)}`)
  }
  if (records === 0) throw new Error(`no record of ${job.name} was acknowledged in the window`)
  return {
    recordsPerSecond: records / seconds,
    cpuMicrosPerRecord: cpuMicros / records,
    ...(samples === undefined ? {} : { memory: samples }),
    ...(flow.records > 0 ? { wireBytesPerRecord: flow.bytes / flow.records } : {})
  }
}

const idPrefix = crypto.randomUUID().slice(0, 28)
let ids = 0

/** A unique 36-character record id, as cheap as possible. */
export const nextId = (): string => idPrefix + (0x10000000 + ids++).toString(16)
