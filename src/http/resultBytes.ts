/**
 * The results of many records as JSON, written as bytes: of each, only the id and the numbers are its own.
 */
import { Buffer } from "node:buffer"
import type { Receipt } from "../Receipt.ts"

const opening = Buffer.from('{"results":[')
const beforeId = Buffer.from('{"id":"')
const behindId = {
  delivered: Buffer.from('","outcome":"delivered"'),
  diverted: Buffer.from('","outcome":"diverted"'),
  spooled: Buffer.from('","outcome":"spooled"')
}
const beforePartition = Buffer.from(',"partition":')
const beforeOffset = Buffer.from(',"offset":"')
/** More than a result takes beside an id, and with an id as long as most, bytes. */
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
    const { id, index, settlement } = receipt
    const { baseOffset, outcome, partition } = settlement
    this.#room(6 * id.length + usual)
    this.#put(beforeId)
    this.#id(id)
    this.#put(behindId[outcome])
    if (partition >= 0) {
      this.#put(beforePartition)
      this.#number(partition)
    }
    if (baseOffset >= 0n) {
      this.#put(beforeOffset)
      this.#offset(baseOffset, index)
      this.#bytes[this.#at++] = quote
    }
    this.#bytes[this.#at++] = closeBrace
    this.#bytes[this.#at++] = comma
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

  #put(part: Uint8Array): void {
    this.#bytes.set(part, this.#at)
    this.#at += part.length
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
    const offset = Number(base) + index
    if (Number.isSafeInteger(offset)) this.#number(offset)
    else this.#at += this.#bytes.write(String(base + BigInt(index)), this.#at)
  }

  /** @param number whole, and not negative */
  #number(number: number): void {
    const bytes = this.#bytes
    let digits = 1
    for (let power = 10; power <= number; power *= 10) digits++
    this.#at += digits
    for (let at = this.#at - 1, left = number; digits > 0; at--, digits--) {
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
