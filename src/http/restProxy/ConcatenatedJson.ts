/**
 * JSON objects one behind the other, out of pieces that end anywhere.
 */
import { Fault } from "./embedded.ts"

const space = new Set([9, 10, 13, 32])
const quote = 34
const backslash = 92
const open = new Set([91, 123])
const close = new Set([93, 125])
const brace = 123

const decoder = new TextDecoder("utf-8", { fatal: true })

export class ConcatenatedJson {
  readonly #maxBytes: number
  #buffer = new Uint8Array(0)
  /** Where the object that is not complete yet begins; what was looked at; what is filled. */
  #start = 0
  #looked = 0
  #end = 0
  #depth = 0
  #inString = false
  #escaped = false

  /** @param maxBytes of one object */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Copies the bytes. */
  push(bytes: Uint8Array): void {
    const kept = this.#end - this.#start
    if (this.#end + bytes.length > this.#buffer.length) {
      const size = Math.max(kept + bytes.length, 2 * kept)
      const buffer = size > this.#buffer.length ? new Uint8Array(size) : this.#buffer
      buffer.set(this.#buffer.subarray(this.#start, this.#end))
      this.#buffer = buffer
      this.#looked -= this.#start
      this.#start = 0
      this.#end = kept
    }
    this.#buffer.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** The next object's text. Undefined: more bytes are needed. A fault: there is no telling where the next one begins. */
  next(): string | Fault | undefined {
    const buffer = this.#buffer
    if (this.#depth === 0) {
      while (this.#start < this.#end && space.has(buffer[this.#start] ?? 0)) this.#start++
      this.#looked = this.#start
      if (this.#start === this.#end) return undefined
      if (buffer[this.#start] !== brace) return new Fault("", "not JSON: expected an object, beginning with {", true)
    }
    for (; this.#looked < this.#end; this.#looked++) {
      const byte = buffer[this.#looked] ?? 0
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (byte === backslash) this.#escaped = true
        else if (byte === quote) this.#inString = false
      } else if (byte === quote) this.#inString = true
      else if (open.has(byte)) this.#depth++
      else if (close.has(byte) && --this.#depth === 0) {
        this.#looked++
        const bytes = buffer.subarray(this.#start, this.#looked)
        this.#start = this.#looked
        return bytes.length > this.#maxBytes ? this.#tooLarge() : textOf(bytes)
      }
    }
    return this.#looked - this.#start > this.#maxBytes ? this.#tooLarge() : undefined
  }

  #tooLarge(): Fault {
    return new Fault("", `a record takes more than http.max_body_bytes, ${this.#maxBytes} bytes`)
  }

  /** Nothing is left of an object that was begun. */
  get empty(): boolean {
    return this.#depth === 0
  }
}

const textOf = (bytes: Uint8Array): string | Fault => {
  try {
    return decoder.decode(bytes)
  } catch {
    return new Fault("", "not UTF-8", true)
  }
}
