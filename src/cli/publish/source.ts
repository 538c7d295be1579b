/**
 * Where records to be published come from.
 */
import { Buffer } from "node:buffer"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import process from "node:process"
import { addAbortSignal, type Readable } from "node:stream"
import { CommandError, codes } from "../exit.ts"
import { type Line, lines } from "./lines.ts"

export interface Source {
  readonly lines: AsyncIterable<ReadonlyArray<Line>>
  /** Share of it that was read; undefined: its length is not known. */
  readonly share: () => number | undefined
}

/** Read at once, and sent in one request, bytes. */
const pieceBytes = 256 * 1024
/** A single record is in memory as a whole, bytes. */
const mostValueBytes = 100 * 1024 * 1024

export const unreadable = (what: string, cause: unknown): CommandError =>
  new CommandError({
    code: codes.data,
    message: `${what} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
  })

/** Undefined or `-`: standard input. `stop` ends it with an error, also while it waits for more. */
const open = (file: string | undefined, stop: AbortSignal): Readable =>
  addAbortSignal(
    stop,
    file === undefined || file === "-" ? process.stdin : createReadStream(file, { highWaterMark: pieceBytes })
  )

export const nameOf = (file: string | undefined): string =>
  file === undefined || file === "-" ? "standard input" : file

/** Rejects when the file is not there. */
export const ofFile = async (file: string | undefined, stop: AbortSignal): Promise<Source> => {
  const found = file === undefined || file === "-" ? undefined : await stat(file)
  const length = found?.isFile() === true ? found.size : undefined
  const stream = open(file, stop)
  let read = 0
  const counted = async function* () {
    for await (const piece of stream) {
      const bytes: Uint8Array = typeof piece === "string" ? Buffer.from(piece) : piece
      read += bytes.length
      yield bytes
    }
  }
  return {
    lines: lines(counted()),
    share: () => (length === undefined || length === 0 ? undefined : read / length)
  }
}

/** What one record is made of. */
export interface Single {
  readonly key: string | undefined
  /** Undefined: the bytes of `file`. */
  readonly value: string | undefined
  readonly file: string | undefined
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly id: string | undefined
  readonly partition: number | undefined
}

const bytesOf = async (file: string | undefined, stop: AbortSignal): Promise<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  let length = 0
  for await (const piece of open(file, stop)) {
    const bytes: Uint8Array = typeof piece === "string" ? Buffer.from(piece) : piece
    length += bytes.length
    if (length > mostValueBytes) throw new Error(`more than ${mostValueBytes} bytes for one record`)
    pieces.push(bytes)
  }
  return Buffer.concat(pieces)
}

const valueOf = async (
  { file, value }: Single,
  stop: AbortSignal
): Promise<{ value: string } | { valueBase64: string }> => {
  if (value !== undefined) return { value }
  const bytes = await bytesOf(file, stop)
  try {
    return { value: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { valueBase64: Buffer.from(bytes).toString("base64") }
  }
}

/** One record, as the one line it is in the form of many. */
export const ofSingle = async (single: Single, stop: AbortSignal): Promise<Source> => {
  const { headers, id, key, partition } = single
  const text = JSON.stringify({ id, key, ...(await valueOf(single, stop)), headers, partition })
  return {
    lines: (async function* () {
      yield [{ number: 1, text, fault: "" }]
    })(),
    share: () => undefined
  }
}
