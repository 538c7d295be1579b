/**
 * A diverted record batch with what is needed to replay it, and the pack: many envelopes in one SQS message body.
 *
 * A pack, all integers big-endian, varints unsigned:
 *
 * ```
 * "SPW" version:u8 flags:u8 length:u32 crc:u32 content
 * content  = count:varint envelope*
 * envelope = headerLength:varint header batchLength:varint batch
 * ```
 *
 * `length` and `crc` (CRC-32, IEEE) are those of the content before compression; flag 1 says the content is one zstd
 * frame. A header may grow at its end without a new version: readers skip what they do not know. The message body is the
 * base64 of the pack, so that it always starts with `U1BX`.
 */
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { largeBatchBytes } from "./internal/bodyChecksum.ts"
import { deflate, inflate } from "./internal/largeCompression.ts"
import { eachSlice, lengthOf, type Pieces } from "./internal/slices.ts"
import * as Varint from "./internal/varint.ts"
import * as Zstd from "./internal/zstd.ts"

/** One parked record batch. */
export interface Envelope {
  readonly topic: string
  /** -1: no partition was known; one is chosen at replay. */
  readonly partition: number
  /** How many partitions the topic had when `partition` was chosen; 0 when unknown. */
  readonly partitionCount: number
  /** True when the caller fixed the partition: it is kept even if the partition count changes. */
  readonly partitionFixed: boolean
  /** Times Kafka was there and refused these records in the retry daemon. */
  readonly attempts: number
  /** ms since the epoch. */
  readonly firstFailureAt: number
  /** Not replayed before this time, ms since the epoch; 0 for at once. */
  readonly notBefore: number
  /** `{class}:{reason}` of the last failure, e.g. `Availability:CONNECTION_REFUSED`. */
  readonly lastError: string
  /** The instance that parked it. */
  readonly origin: string
  /** W3C traceparent of the first sampled record in it; empty when none is, and the batch need not be looked through. */
  readonly traceParent: string
  readonly recordCount: number
  /** Kafka v2 record batch without producer id; CRC valid. */
  readonly batch: Uint8Array
}

/** The body is not a pack this version can read. `foreign`: it does not claim to be a pack at all. */
export class PackError extends Data.TaggedError("PackError")<{
  readonly reason: "Foreign" | "Corrupt" | "UnsupportedVersion"
  readonly message: string
}> {}

/** The version written, and the newest one read. */
export const packVersion = 1
/** Largest content a pack may unfold to, bytes. Bounds what one received message can make us allocate. */
export const maximumContentBytes = 256 * 1024 * 1024

const prefixBytes = 13
/** Base64 of "SPW": three bytes are exactly four characters, so every body starts with it. */
const bodyPrefix = "U1BX"
const flagZstd = 1
const flagIncompressible = 2
const fixedPartition = 1
/** In a v2 record batch: the magic byte, and the low byte of `attributes`, whose three lowest bits are the codec. */
const magicOffset = 16
const attributesOffset = 22

const utf8Strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const natural = (value: number): number => (value >= 1 ? Math.min(Math.trunc(value), Number.MAX_SAFE_INTEGER) : 0)

const numbersOf = (envelope: Envelope): ReadonlyArray<number> => [
  // Shifted by one, so that "no partition" (-1) needs no sign.
  natural(envelope.partition + 1),
  natural(envelope.partitionCount),
  envelope.partitionFixed ? fixedPartition : 0,
  natural(envelope.attempts),
  natural(envelope.firstFailureAt),
  natural(envelope.notBefore),
  natural(envelope.recordCount)
]

const textsOf = (envelope: Envelope): ReadonlyArray<string> => [
  envelope.topic,
  envelope.lastError,
  envelope.origin,
  envelope.traceParent
]

const headerSize = (envelope: Envelope): number => {
  let bytes = 0
  for (const value of numbersOf(envelope)) bytes += Varint.size(value)
  for (const text of textsOf(envelope)) {
    const length = Buffer.byteLength(text)
    bytes += Varint.size(length) + length
  }
  return bytes
}

/** Bytes `envelope` takes in a pack before compression. */
export const encodedSize = (envelope: Envelope): number => {
  const header = headerSize(envelope)
  return Varint.size(header) + header + Varint.size(envelope.batch.length) + envelope.batch.length
}

/** Bytes of a pack of envelopes whose `encodedSize` add up to `contentBytes`, before compression; an upper bound. */
export const packSize = (contentBytes: number): number => prefixBytes + Varint.maximumVarintBytes + contentBytes

const compressedAlready = (batch: Uint8Array): boolean =>
  batch[magicOffset] === 2 && ((batch[attributesOffset] ?? 0) & 7) !== 0

/** Everything of an envelope but its batch; returns the position behind it. */
const writeHead = (pack: Buffer, position: number, envelope: Envelope): number => {
  let at = Varint.write(pack, position, headerSize(envelope))
  for (const value of numbersOf(envelope)) at = Varint.write(pack, at, value)
  for (const text of textsOf(envelope)) {
    at = Varint.write(pack, at, Buffer.byteLength(text))
    at += pack.write(text, at)
  }
  return Varint.write(pack, at, envelope.batch.length)
}

/** The uncompressed pack. Counts and times that are negative or not a number are written as 0. */
export const encode = (envelopes: ReadonlyArray<Envelope>): Uint8Array => {
  let size = prefixBytes + Varint.size(envelopes.length)
  let batchBytes = 0
  let incompressible = 0
  for (const envelope of envelopes) {
    size += encodedSize(envelope)
    batchBytes += envelope.batch.length
    if (compressedAlready(envelope.batch)) incompressible += envelope.batch.length
  }
  const pack = Buffer.allocUnsafe(size)
  let at = Varint.write(pack, prefixBytes, envelopes.length)
  for (const envelope of envelopes) {
    at = writeHead(pack, at, envelope)
    pack.set(envelope.batch, at)
    at += envelope.batch.length
  }
  const content = pack.subarray(prefixBytes)
  // Nine tenths: a few plain batches among compressed ones do not repay the work.
  const flags = incompressible > batchBytes * 0.9 ? flagIncompressible : 0
  writePrefix(pack, flags, content.length, crc32(content))
  return pack
}

const writePrefix = (pack: Buffer, flags: number, length: number, crc: number): void => {
  pack.write("SPW", 0, "latin1")
  pack[3] = packVersion
  pack[4] = flags
  pack.writeUInt32BE(length, 5)
  pack.writeUInt32BE(crc, 9)
}

interface Prefix {
  readonly flags: number
  readonly length: number
  readonly crc: number
}

const corrupt = (message: string): PackError => new PackError({ reason: "Corrupt", message })

const readPrefix = (pack: Uint8Array): Either.Either<Prefix, PackError> => {
  if (pack[0] !== 0x53 || pack[1] !== 0x50 || pack[2] !== 0x57) {
    return Either.left(new PackError({ reason: "Foreign", message: "not a pack: it does not start with SPW" }))
  }
  const version = pack[3]
  const flags = pack[4]
  if (version === undefined || flags === undefined) return Either.left(corrupt("cut off inside the prefix"))
  if (version !== packVersion || (flags & ~(flagZstd | flagIncompressible)) !== 0) {
    const message = `pack version ${version} with flags ${flags}; this build reads version ${packVersion}`
    return Either.left(new PackError({ reason: "UnsupportedVersion", message }))
  }
  if (pack.length < prefixBytes) return Either.left(corrupt("cut off inside the prefix"))
  const view = new DataView(pack.buffer, pack.byteOffset, pack.byteLength)
  const length = view.getUint32(5)
  if (length > maximumContentBytes) {
    return Either.left(corrupt(`content of ${length} bytes is above the limit of ${maximumContentBytes}`))
  }
  return Either.right({ flags, length, crc: view.getUint32(9) })
}

const readText = (reader: Varint.Reader): string | undefined => {
  const bytes = reader.lengthPrefixed()
  if (bytes === undefined) return undefined
  try {
    return utf8Strict.decode(bytes)
  } catch {
    return undefined
  }
}

const readEnvelope = (reader: Varint.Reader): Envelope | undefined => {
  const headerBytes = reader.lengthPrefixed()
  if (headerBytes === undefined) return undefined
  const header = new Varint.Reader(headerBytes)
  const partition = header.varint()
  const partitionCount = header.varint()
  const flags = header.varint()
  const attempts = header.varint()
  const firstFailureAt = header.varint()
  const notBefore = header.varint()
  const recordCount = header.varint()
  const topic = readText(header)
  const lastError = readText(header)
  const origin = readText(header)
  const traceParent = readText(header)
  const batch = reader.lengthPrefixed()
  if (
    partition === undefined ||
    partitionCount === undefined ||
    flags === undefined ||
    attempts === undefined ||
    firstFailureAt === undefined ||
    notBefore === undefined ||
    recordCount === undefined ||
    topic === undefined ||
    lastError === undefined ||
    origin === undefined ||
    traceParent === undefined ||
    batch === undefined
  ) {
    return undefined
  }
  return {
    topic,
    partition: partition - 1,
    partitionCount,
    partitionFixed: (flags & fixedPartition) !== 0,
    attempts,
    firstFailureAt,
    notBefore,
    lastError,
    origin,
    traceParent,
    recordCount,
    batch
  }
}

const readContent = (
  content: Uint8Array,
  prefix: Prefix,
  crc: number = crc32(content)
): Either.Either<ReadonlyArray<Envelope>, PackError> => {
  if (content.length !== prefix.length) {
    return Either.left(corrupt(`content of ${content.length} bytes where ${prefix.length} were announced`))
  }
  if (crc !== prefix.crc) return Either.left(corrupt("checksum mismatch"))
  const reader = new Varint.Reader(content)
  const count = reader.varint()
  if (count === undefined) return Either.left(corrupt("no envelope count"))
  const envelopes: Array<Envelope> = []
  for (let index = 0; index < count; index++) {
    const envelope = readEnvelope(reader)
    if (envelope === undefined) return Either.left(corrupt(`envelope ${index} of ${count} cannot be read`))
    envelopes.push(envelope)
  }
  if (reader.remaining > 0) return Either.left(corrupt(`${reader.remaining} bytes behind the last envelope`))
  return Either.right(envelopes)
}

/** The envelopes of an uncompressed pack; their batches are views into `pack`. For compressed ones see `expand`. */
export const decode = (pack: Uint8Array): Either.Either<ReadonlyArray<Envelope>, PackError> =>
  Either.flatMap(readPrefix(pack), prefix =>
    (prefix.flags & flagZstd) === 0
      ? readContent(pack.subarray(prefixBytes), prefix)
      : Either.left(corrupt("the pack is compressed"))
  )

/**
 * The pack with its content in a zstd frame (level 1; on Bun off the event loop), or `pack` itself when that is not smaller,
 * when its batches are compressed already, or when compressing fails: what is durable uncompressed beats an error.
 */
export const compress = (pack: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.suspend(() => {
    const prefix = readPrefix(pack)
    if (Either.isLeft(prefix) || (prefix.right.flags & (flagZstd | flagIncompressible)) !== 0)
      return Effect.succeed(pack)
    const { crc, length } = prefix.right
    return Effect.match(Zstd.compress(pack.subarray(prefixBytes)), {
      onFailure: () => pack,
      onSuccess: frame => {
        if (frame.length >= length) return pack
        const packed = Buffer.allocUnsafe(prefixBytes + frame.length)
        writePrefix(packed, flagZstd, length, crc)
        packed.set(frame, prefixBytes)
        return packed
      }
    })
  })

/** The pack of one large batch: uncompressed, its last piece is the batch itself. */
const packLarge = (envelope: Envelope): Effect.Effect<Pieces> =>
  Effect.gen(function* () {
    const head = Buffer.allocUnsafe(packSize(encodedSize(envelope)) - envelope.batch.length)
    const end = writeHead(head, Varint.write(head, prefixBytes, 1), envelope)
    const content = [head.subarray(prefixBytes, end), envelope.batch]
    const length = lengthOf(content)
    let crc = 0
    yield* eachSlice(content, slice => {
      crc = crc32(slice, crc)
    })
    const incompressible = compressedAlready(envelope.batch)
    const frame = incompressible ? undefined : yield* deflate(content, "zstd")
    writePrefix(head, frame !== undefined ? flagZstd : incompressible ? flagIncompressible : 0, length, crc)
    return frame === undefined ? [head.subarray(0, end), envelope.batch] : [head.subarray(0, prefixBytes), ...frame]
  })

/** A pack, compressed if that helps. What is in several pieces is for a claim check. */
export const packed = (envelopes: ReadonlyArray<Envelope>): Effect.Effect<Pieces> => {
  const [only, second] = envelopes
  return only !== undefined && second === undefined && only.batch.length >= largeBatchBytes
    ? packLarge(only)
    : Effect.map(compress(encode(envelopes)), pack => [pack])
}

/** Large content is unfolded and checked in slices. */
const expandLarge = (pack: Uint8Array, prefix: Prefix): Effect.Effect<ReadonlyArray<Envelope>, PackError> =>
  Effect.gen(function* () {
    const stored = pack.subarray(prefixBytes)
    const content =
      (prefix.flags & flagZstd) === 0
        ? stored
        : yield* Effect.mapError(inflate(stored, prefix.length), error => corrupt(`zstd: ${error.message}`))
    let crc = 0
    yield* eachSlice([content], slice => {
      crc = crc32(slice, crc)
    })
    return yield* readContent(content, prefix, crc)
  })

/** The envelopes of a pack, compressed or not. Decompression stops at the announced length, at most 256 MiB. */
export const expand = (pack: Uint8Array): Effect.Effect<ReadonlyArray<Envelope>, PackError> =>
  Effect.flatMap(readPrefix(pack), prefix => {
    if (prefix.length >= largeBatchBytes) return expandLarge(pack, prefix)
    if ((prefix.flags & flagZstd) === 0) return readContent(pack.subarray(prefixBytes), prefix)
    return Effect.flatMap(
      Effect.mapError(Zstd.expand(pack.subarray(prefixBytes), prefix.length), error =>
        corrupt(`zstd: ${error.message}`)
      ),
      content => readContent(content, prefix)
    )
  })

/** Characters of a message body that carries a pack of so many bytes. */
export const bodyLength = (packBytes: number): number => Math.ceil(packBytes / 3) * 4

/** The SQS message body of a pack as it is, compressed or not. */
export const bodyOf = (pack: Uint8Array): string =>
  Buffer.from(pack.buffer, pack.byteOffset, pack.byteLength).toString("base64")

/** The SQS message body of a pack made by `encode`. */
export const toBody = (pack: Uint8Array): Effect.Effect<string> => Effect.map(compress(pack), bodyOf)

/** True when `body` claims to be one of ours, whole or broken. */
export const isPackBody = (body: string): boolean => body.startsWith(bodyPrefix)

/** The envelopes of a message body. `Foreign` when it never was a pack: then it may be another writer's format. */
export const fromBody = (body: string): Effect.Effect<ReadonlyArray<Envelope>, PackError> =>
  isPackBody(body)
    ? Effect.suspend(() => expand(Buffer.from(body, "base64")))
    : Effect.fail(new PackError({ reason: "Foreign", message: "not a pack: the body does not start with U1BX" }))
