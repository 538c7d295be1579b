/**
 * Writes records straight into one pooled buffer as a Kafka v2 record batch: the only encoding a record ever gets.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
import type { Outcome } from "../Receipt.ts"
import type { Headers, HeaderValue } from "../Record.ts"
import * as RecordId from "../RecordId.ts"
import { headerBytes, writeHeader } from "./batchLayout.ts"
import type { BufferPool } from "./bufferPool.ts"
import { parentHeader, read as readTrace, type TraceContext } from "./traceContext.ts"
import { varintSize, varlongSize, writeVarint, writeVarlong } from "./zigzag.ts"

/** Node's typed writer, in both runtimes and measurably faster than `write(text, position, "utf8")`. */
interface Utf8Writer {
  utf8Write(text: string, position: number, length: number): number
}

/** Below this many characters a loop beats a call into the runtime. */
const shortText = 32

/**
 * Told once what became of a record, and the number it was offered with: one function may serve many records. Runs on the
 * hot path: it must be quick and must not throw.
 */
export type Callback = (outcome: Outcome, index: number) => void

/** A record as the builder takes it: already checked. */
export interface Appendable {
  readonly key?: Uint8Array | string | null | undefined
  readonly value: Uint8Array | string | null
  readonly headers?: Headers | undefined
  readonly id?: string | undefined
}

/** A sampled trace context that a record of a batch carries. */
export interface Trace {
  /** Which record. */
  readonly index: number
  readonly context: TraceContext
}

/** Enough for the head of a Produce request with names of usual length (it takes 34 bytes and the names), bytes. */
export const requestHeadBytes = 256

/** Ids a batch has for itself: more than there are records in 100 MiB. */
const idsOfBatch = 2 ** 22

/** The record-id header of a topic, and the ids that are put there. Batches of the same millisecond share a draw. */
export class IdHeader {
  readonly name: string
  /** What is the same in the headers of a batch: name length, name, value length, and the ids' constant part. */
  template: Uint8Array
  readonly #idAt: number
  #drawnAt = Number.NaN
  #drawn: RecordId.IdSequence = { prefix: "", start: 0 }
  #batches = 0

  constructor(name: string) {
    this.name = name
    const text = Buffer.from(name, "utf8")
    this.#idAt = varintSize(text.length) + text.length + varintSize(RecordId.idLength)
    this.template = new Uint8Array(this.#idAt + RecordId.prefixLength)
    const afterLength = writeVarint(this.template, 0, text.length)
    this.template.set(text, afterLength)
    writeVarint(this.template, afterLength + text.length, RecordId.idLength)
  }

  /** The ids of a new batch; `template` is theirs. */
  next(now: number): RecordId.IdSequence {
    if (now !== this.#drawnAt || this.#drawn.start + (this.#batches + 2) * idsOfBatch > 2 ** 32) {
      this.#drawnAt = now
      this.#drawn = RecordId.sequence(now)
      this.#batches = 0
      // A new one: the batches before keep theirs.
      this.template = this.template.slice()
      writeAscii(this.template, this.#idAt, this.#drawn.prefix)
    } else this.#batches++
    return { prefix: this.#drawn.prefix, start: this.#drawn.start + this.#batches * idsOfBatch }
  }
}

const sizeOf = (value: Uint8Array | string): number =>
  typeof value === "string" ? Buffer.byteLength(value) : value.length

export class BatchBuilder {
  // What every record needs comes first, close together: with hundreds of partitions none of it is in the processor's cache.
  /** Room for a request's head, then the batch. */
  #buffer: Buffer
  /** Where the next record is written. */
  #position = requestHeadBytes + headerBytes
  /** Records appended so far. */
  count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0
  readonly #firstId: number
  readonly #idTemplate: Uint8Array
  /** Whom to tell of each record, and what beside the outcome; a place left out is 0. */
  readonly callbacks: Array<Callback> = []
  readonly indexes: Array<number> = []
  #givenIds: Map<number, string> | undefined
  #traces: Array<Trace> | undefined
  readonly #ids: RecordId.IdSequence
  readonly #idHeaderName: string
  readonly #pool: BufferPool

  /**
   * @param now ms since the epoch, seeds the ids
   */
  constructor(pool: BufferPool, idHeader: IdHeader, capacity: number, now: number) {
    this.#buffer = pool.take(requestHeadBytes + capacity)
    this.#ids = idHeader.next(now)
    this.#firstId = this.#ids.start
    this.#idTemplate = idHeader.template
    this.#idHeaderName = idHeader.name
    this.#pool = pool
  }

  /** Bytes of the batch so far, its header included. */
  get size(): number {
    return this.#position - requestHeadBytes
  }

  /** The id of the n-th record, without keeping the buffer alive. */
  get idAt(): (index: number) => string {
    const ids = this.#ids
    const given = this.#givenIds
    return given === undefined ? index => RecordId.at(ids, index) : index => given.get(index) ?? RecordId.at(ids, index)
  }

  /** Those of its records whose `traceparent` header is sampled; undefined when there is none. */
  get traces(): ReadonlyArray<Trace> | undefined {
    return this.#traces
  }

  /**
   * Appends one record unless it would push the batch over `batchLimit` bytes (the first record always fits), or is
   * itself larger than `recordLimit`.
   *
   * @returns the bytes it took; 0 when it does not fit, -1 when it is too large: then the batch is as it was
   */
  append(record: Appendable, timestamp: number, batchLimit: number, recordLimit: number): number {
    const index = this.count
    if (index === 0) {
      this.#baseTimestamp = timestamp
      this.#maxTimestamp = timestamp
    }
    const { key, value, headers } = record
    const keyLength = key === undefined || key === null ? -1 : sizeOf(key)
    const valueLength = value === null ? -1 : sizeOf(value)
    const delta = timestamp - this.#baseTimestamp

    let givenId = record.id
    let headerCount = 0
    let headersLength = 0
    let trace: TraceContext | undefined
    if (headers !== undefined) {
      headerCount = headers.length
      for (let i = 0; i < headerCount; i++) {
        const header = headers[i]
        if (header === undefined) continue
        if (header[0] === this.#idHeaderName && header[1] !== null && givenId === undefined) {
          givenId = typeof header[1] === "string" ? header[1] : Buffer.from(header[1]).toString("utf8")
        }
        if (header[0] === parentHeader) trace ??= readTrace(header[1])
        const nameLength = Buffer.byteLength(header[0])
        headersLength += varintSize(nameLength) + nameLength + sizeOfHeaderValue(header[1])
      }
    }
    const ownHeader = givenId === undefined || record.id !== undefined
    let givenIdLength = 0
    if (ownHeader) {
      headerCount++
      if (givenId === undefined) headersLength += this.#idTemplate.length - RecordId.prefixLength + RecordId.idLength
      else {
        const nameLength = Buffer.byteLength(this.#idHeaderName)
        givenIdLength = Buffer.byteLength(givenId)
        headersLength += varintSize(nameLength) + nameLength + varintSize(givenIdLength) + givenIdLength
      }
    }

    const body =
      1 +
      varlongSize(delta) +
      varintSize(index) +
      varintSize(keyLength) +
      Math.max(keyLength, 0) +
      varintSize(valueLength) +
      Math.max(valueLength, 0) +
      varintSize(headerCount) +
      headersLength
    const needed = varintSize(body) + body
    if (needed > recordLimit) return -1
    if (this.size + needed > batchLimit && index > 0) return 0
    if (this.#position + needed > this.#buffer.length) this.#grow(this.#position + needed)

    const buffer = this.#buffer
    let at = writeVarint(buffer, this.#position, body)
    buffer[at++] = 0
    at = writeVarlong(buffer, at, delta)
    at = writeVarint(buffer, at, index)
    at = writeVarint(buffer, at, keyLength)
    if (keyLength > 0 && key !== undefined && key !== null) at = writeBytes(buffer, at, key, keyLength)
    at = writeVarint(buffer, at, valueLength)
    if (valueLength > 0 && value !== null) at = writeBytes(buffer, at, value, valueLength)
    at = writeVarint(buffer, at, headerCount)
    if (ownHeader) {
      if (givenId === undefined) {
        buffer.set(this.#idTemplate, at)
        at = RecordId.writeCounter(buffer, at + this.#idTemplate.length, this.#firstId + index)
      } else {
        at = writeText(buffer, at, this.#idHeaderName)
        at = writeVarint(buffer, at, givenIdLength)
        at = writeBytes(buffer, at, givenId, givenIdLength)
      }
    }
    if (headers !== undefined) {
      for (let i = 0; i < headers.length; i++) {
        const header = headers[i]
        if (header === undefined) continue
        at = writeText(buffer, at, header[0])
        at = writeHeaderValue(buffer, at, header[1])
      }
    }
    this.#position = at
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    if (givenId !== undefined) {
      this.#givenIds ??= new Map()
      this.#givenIds.set(index, givenId)
    }
    if (trace?.sampled === true) {
      this.#traces ??= []
      this.#traces.push({ index, context: trace })
    }
    this.count = index + 1
    return needed
  }

  /** Whom to tell of the record that was just written. */
  listen(callback: Callback, index: number): void {
    if (index !== 0) this.indexes[this.callbacks.length] = index
    this.callbacks.push(callback)
  }

  /**
   * Writes the batch header, all but the checksum, and returns the bytes of the batch, how much room is in front of them, and
   * the buffer that holds both. It goes back to the pool by `BufferPool.give` once nothing reads the bytes any more.
   */
  finish(): { readonly buffer: Buffer; readonly room: number; readonly bytes: Buffer } {
    const bytes = this.#buffer.subarray(requestHeadBytes, this.#position)
    writeHeader(bytes, {
      length: bytes.length,
      attributes: 0,
      count: this.count,
      baseTimestamp: this.#baseTimestamp,
      maxTimestamp: this.#maxTimestamp
    })
    return { buffer: this.#buffer, room: requestHeadBytes, bytes }
  }

  #grow(needed: number): void {
    const larger = this.#pool.take(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer.subarray(requestHeadBytes, this.#position), requestHeadBytes)
    this.#pool.give(this.#buffer)
    this.#buffer = larger
  }
}

const sizeOfHeaderValue = (value: HeaderValue): number => {
  if (value === null) return varintSize(-1)
  const length = sizeOf(value)
  return varintSize(length) + length
}

const writeHeaderValue = (buffer: Buffer, position: number, value: HeaderValue): number => {
  if (value === null) return writeVarint(buffer, position, -1)
  const length = sizeOf(value)
  return writeBytes(buffer, writeVarint(buffer, position, length), value, length)
}

const writeText = (buffer: Buffer, position: number, text: string): number => {
  const length = Buffer.byteLength(text)
  return writeBytes(buffer, writeVarint(buffer, position, length), text, length)
}

const writeAscii = (buffer: Uint8Array, position: number, text: string): void => {
  for (let i = 0; i < text.length; i++) buffer[position + i] = text.charCodeAt(i)
}

/** Writes exactly `length` bytes, the size of `value` in UTF-8 or bytes; returns the position behind them. */
const writeBytes = (buffer: Buffer, position: number, value: Uint8Array | string, length: number): number => {
  if (typeof value !== "string") buffer.set(value, position)
  else if (length <= shortText && length === value.length) writeAscii(buffer, position, value)
  else (buffer as unknown as Utf8Writer).utf8Write(value, position, length)
  return position + length
}
