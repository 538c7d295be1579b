/**
 * The message that stands for a pack in the claim check. All integers big-endian, varints unsigned:
 *
 * ```
 * "SPC" version:u8 crc:u32 content
 * content = bucket key checksum bytes partBytes recordCount notBefore, texts with a varint length, the rest varints
 * ```
 *
 * `crc` (CRC-32, IEEE) is that of the content, which may grow at its end without a new version. The message body is the
 * base64 of it, so that it always starts with `U1BD`.
 */
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import * as Either from "effect/Either"
import type { Claim } from "../ClaimCheck.ts"
import { maximumContentBytes, PackError } from "../Envelope.ts"
import { maximumParts } from "./partDigest.ts"
import * as Varint from "./varint.ts"

export interface ClaimPointer {
  readonly claim: Claim
  readonly recordCount: number
  /** Not fetched before this time, ms since the epoch; 0 for at once. */
  readonly notBefore: number
}

const version = 1
const prefixBytes = 8
const bodyPrefix = "U1BD"
/** A pack that did not shrink has a prefix before its content. */
const maximumObjectBytes = maximumContentBytes + 1024

const utf8Strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** True when `body` claims to be a pointer, whole or broken. */
export const isPointerBody = (body: string): boolean => body.startsWith(bodyPrefix)

export const toBody = ({ claim, notBefore, recordCount }: ClaimPointer): string => {
  const texts = [claim.bucket, claim.key, claim.checksum].map(text => Buffer.from(text, "utf8"))
  const numbers = [claim.bytes, claim.partBytes, recordCount, notBefore]
  let size = prefixBytes
  for (const text of texts) size += Varint.size(text.length) + text.length
  for (const number of numbers) size += Varint.size(number)
  const bytes = Buffer.allocUnsafe(size)
  let at = prefixBytes
  for (const text of texts) {
    at = Varint.write(bytes, at, text.length)
    at += text.copy(bytes, at)
  }
  for (const number of numbers) at = Varint.write(bytes, at, number)
  bytes.write("SPC", 0, "latin1")
  bytes[3] = version
  bytes.writeUInt32BE(crc32(bytes.subarray(prefixBytes)), 4)
  return bytes.toString("base64")
}

const failure = (reason: PackError["reason"], message: string) => Either.left(new PackError({ reason, message }))

const readText = (reader: Varint.Reader): string | undefined => {
  const bytes = reader.lengthPrefixed()
  try {
    return bytes === undefined ? undefined : utf8Strict.decode(bytes)
  } catch {
    return undefined
  }
}

export const fromBody = (body: string): Either.Either<ClaimPointer, PackError> => {
  if (!isPointerBody(body)) return failure("Foreign", "not a pointer: the body does not start with U1BD")
  const bytes = Buffer.from(body, "base64")
  if (bytes.length < prefixBytes) return failure("Corrupt", "a pointer cut off inside its prefix")
  if (bytes[3] !== version) {
    return failure("UnsupportedVersion", `pointer version ${bytes[3]}; this build reads version ${version}`)
  }
  const content = bytes.subarray(prefixBytes)
  if (crc32(content) !== bytes.readUInt32BE(4)) return failure("Corrupt", "a pointer with a wrong checksum")
  const reader = new Varint.Reader(content)
  const bucket = readText(reader)
  const key = readText(reader)
  const checksum = readText(reader)
  const size = reader.varint()
  const partBytes = reader.varint()
  const recordCount = reader.varint()
  const notBefore = reader.varint()
  if (
    bucket === undefined ||
    key === undefined ||
    checksum === undefined ||
    size === undefined ||
    partBytes === undefined ||
    recordCount === undefined ||
    notBefore === undefined
  ) {
    return failure("Corrupt", "a pointer that cannot be read")
  }
  // What one received message can make us allocate and ask for.
  if (size < 1 || size > maximumObjectBytes || partBytes < 1 || size > partBytes * maximumParts) {
    return failure("Corrupt", `a pointer to ${size} bytes in parts of ${partBytes}`)
  }
  return Either.right({ claim: { bucket, key, bytes: size, partBytes, checksum }, recordCount, notBefore })
}
