/**
 * The results of many records as JSON, written as bytes: of most, only the id and the offset are not what the one before had.
 */
import { Buffer } from "node:buffer"
import type { Receipt, Settlement } from "../Receipt.ts"

const opening = Buffer.from('{"results":[')
const beforeId = Buffer.from('{"id":"')
/** A result with an id and an offset as long as most, bytes. */
const usual = 128
/** Behind the last result. */
const ending = 2

const quote = 34
const comma = 44
const zero = 48
const backslash = 92
const closeBracket = 93
const closeBrace = 125

/** Whether a JSON string may hold it as it is, and one byte of UTF-8 is it. */
const isPlain = (code: number): boolean => code >= 32 && code < 127 && code !== quote && code !== backslash

export class ResultBytes {
  #bytes: Buffer<ArrayBuffer>
  #at: number
  #last: Settlement | undefined
  /** What follows the id of a record settled with the last one, up to the offset. */
  #tail: Buffer = opening

  /** @param count how many results there will be, about */
  constructor(count: number) {
    this.#bytes = Buffer.allocUnsafeSlow(opening.length + count * usual + ending)
    this.#bytes.set(opening)
    this.#at = opening.length
  }

  /** A result that is written already. */
  text(json: string): void {
    const length = Buffer.byteLength(json)
    this.#room(length + 1)
    this.#bytes.write(json, this.#at)
    this.#at += length
    this.#bytes[this.#at++] = comma
  }

  receipt(receipt: Receipt): void {
    const { index, settlement } = receipt
    if (settlement !== this.#last) this.#settledWith(settlement)
    const { id } = receipt
    const tail = this.#tail
    this.#room(beforeId.length + 6 * id.length + tail.length + 32)
    const bytes = this.#bytes
    bytes.set(beforeId, this.#at)
    this.#at += beforeId.length
    this.#id(id)
    bytes.set(tail, this.#at)
    this.#at += tail.length
    if (settlement.baseOffset >= 0n) {
      this.#offset(settlement.baseOffset, index)
      bytes[this.#at++] = quote
    }
    bytes[this.#at++] = closeBrace
    bytes[this.#at++] = comma
  }

  /** All of it. */
  end(): Uint8Array<ArrayBuffer> {
    this.#room(ending)
    // Behind the last result there is no comma.
    if (this.#at > opening.length) this.#at--
    this.#bytes[this.#at++] = closeBracket
    this.#bytes[this.#at++] = closeBrace
    return this.#bytes.subarray(0, this.#at)
  }

  #settledWith(settlement: Settlement): void {
    const { baseOffset, outcome, partition } = settlement
    const where = partition < 0 ? "" : `,"partition":${partition}`
    this.#tail = Buffer.from(`","outcome":"${outcome}"${where}${baseOffset < 0n ? "" : ',"offset":"'}`)
    this.#last = settlement
  }

  #id(id: string): void {
    const bytes = this.#bytes
    let at = this.#at
    for (let i = 0; i < id.length; i++) {
      const code = id.charCodeAt(i)
      if (!isPlain(code)) {
        // Without its quotes, which are there.
        const text = JSON.stringify(id).slice(1, -1)
        this.#at += bytes.write(text, this.#at)
        return
      }
      bytes[at++] = code
    }
    this.#at = at
  }

  #offset(base: bigint, index: number): void {
    const bytes = this.#bytes
    const first = Number(base)
    if (!Number.isSafeInteger(first + index)) {
      this.#at += bytes.write(String(base + BigInt(index)), this.#at)
      return
    }
    let left = first + index
    let digits = 1
    for (let power = 10; power <= left; power *= 10) digits++
    this.#at += digits
    for (let at = this.#at - 1; digits > 0; at--, digits--) {
      const rest = Math.floor(left / 10)
      bytes[at] = zero + (left - rest * 10)
      left = rest
    }
  }

  #room(length: number): void {
    const needed = this.#at + length
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}
