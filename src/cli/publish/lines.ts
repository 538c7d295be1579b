/**
 * The lines of a file or a pipe of any size.
 */
import { Buffer } from "node:buffer"

export interface Line {
  /** From 1. */
  readonly number: number
  /** Undefined: it cannot be read. */
  readonly text: string | undefined
  /** Why; empty when it can. */
  readonly fault: string
}

const newline = 10
/** A record of 100 MiB in base64 has room. */
const mostBytes = 160 * 1024 * 1024

const decoder = new TextDecoder("utf-8", { fatal: true })

const read = (number: number, bytes: Uint8Array): Line => {
  try {
    return { number, text: decoder.decode(bytes), fault: "" }
  } catch {
    return { number, text: undefined, fault: "not UTF-8" }
  }
}

/**
 * What ends in one piece of the source comes together, at once: a trickle is not kept waiting for company. One line more
 * than that is in memory.
 */
export async function* lines(
  source: AsyncIterable<Uint8Array>,
  most: number = mostBytes
): AsyncGenerator<ReadonlyArray<Line>> {
  /** Of the line at hand; undefined: it is longer than what is kept of one. */
  let begun: Array<Uint8Array> | undefined = []
  let begunBytes = 0
  let number = 0
  const begin = (bytes: Uint8Array) => {
    begunBytes += bytes.length
    if (begunBytes > most) begun = undefined
    else if (bytes.length > 0) begun?.push(bytes)
  }
  const end = (): Line => {
    number++
    const [only, ...others] = begun ?? []
    const line =
      begun === undefined
        ? { number, text: undefined, fault: `longer than ${most} bytes` }
        : read(number, only !== undefined && others.length === 0 ? only : Buffer.concat(begun))
    begun = []
    begunBytes = 0
    return line
  }
  for await (const piece of source) {
    const ended: Array<Line> = []
    let start = 0
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, start)) {
      begin(piece.subarray(start, at))
      ended.push(end())
      start = at + 1
    }
    begin(piece.subarray(start))
    if (ended.length > 0) yield ended
  }
  if (begunBytes > 0) yield [end()]
}
