/**
 * A body sent in chunks (RFC 9112, section 7.1), put together. Strict: line ends are CR LF, sizes plain hexadecimal.
 */
import { GrowingBuffer } from "./growingBuffer.ts"

/** Longest line of a chunk's size and extensions, and all trailers together, bytes. */
const maximumLine = 1024

const chunkSize = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
const trailer = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/

const carriageReturn = 13
const lineFeed = 10

export type Progress = "more" | "whole" | "tooLarge" | "malformed"

export class ChunkedBody {
  readonly body = new GrowingBuffer()
  readonly #maxBytes: number
  #stage: "size" | "data" | "dataEnd" | "trailer" = "size"
  #line = ""
  #left = 0
  #trailers = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Where the bytes that are this body's end, and how it stands. */
  take(bytes: Uint8Array): { readonly end: number; readonly progress: Progress } {
    let at = 0
    while (at < bytes.length) {
      if (this.#stage === "data") {
        const end = Math.min(bytes.length, at + this.#left)
        if (this.body.length + end - at > this.#maxBytes) return { end: at, progress: "tooLarge" }
        this.body.append(bytes.subarray(at, end))
        this.#left -= end - at
        at = end
        if (this.#left === 0) this.#stage = "dataEnd"
        continue
      }
      const code = bytes[at++] ?? 0
      if (code !== lineFeed) {
        // A carriage return is only ever the one before the line feed.
        if (this.#line.endsWith("\r") || this.#line.length >= maximumLine) return { end: at, progress: "malformed" }
        this.#line += String.fromCharCode(code)
        continue
      }
      if (this.#line.charCodeAt(this.#line.length - 1) !== carriageReturn) return { end: at, progress: "malformed" }
      const line = this.#line.slice(0, -1)
      this.#line = ""
      const progress = this.#lineEnded(line)
      if (progress !== "more") return { end: at, progress }
    }
    return { end: at, progress: "more" }
  }

  #lineEnded(line: string): Progress {
    if (this.#stage === "dataEnd") {
      this.#stage = "size"
      return line === "" ? "more" : "malformed"
    }
    if (this.#stage === "size") {
      const size = chunkSize.exec(line)?.[1]
      if (size === undefined) return "malformed"
      this.#left = Number.parseInt(size, 16)
      this.#stage = this.#left === 0 ? "trailer" : "data"
      return this.body.length + this.#left > this.#maxBytes ? "tooLarge" : "more"
    }
    if (line === "") return "whole"
    this.#trailers += line.length
    return this.#trailers <= maximumLine && trailer.test(line) ? "more" : "malformed"
  }
}
