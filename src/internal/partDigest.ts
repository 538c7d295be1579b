/**
 * The checksum of a large object, part by part, in the form S3 gives it ("Checking object integrity in Amazon S3",
 * composite checksums). Parts are digested off the event loop; one at a time is copied there.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"

/** Bytes of a part; the last one is smaller. At least 5 MiB ("Amazon S3 multipart upload limits"). */
export const partBytes = 8 * 1024 * 1024
/** The most parts S3 takes. */
export const maximumParts = 10_000

/** Views of the bytes, one a part; at least one. */
export const partsOf = (bytes: Uint8Array, size: number = partBytes): ReadonlyArray<Uint8Array> => {
  const parts = [bytes.subarray(0, size)]
  for (let at = size; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
  return parts
}

/** SHA-256 of one part. */
export const digest = (part: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.map(
    // A view of memory that is not shared; WebCrypto's types want that in writing.
    Effect.promise(() => crypto.subtle.digest("SHA-256", part as Uint8Array<ArrayBuffer>)),
    hash => new Uint8Array(hash)
  )

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** The checksum of an object from those of its parts. */
export const checksumOf = (digests: ReadonlyArray<Uint8Array>): string => {
  const [only, second] = digests
  if (only !== undefined && second === undefined) return base64(only)
  const hash = createHash("sha256")
  for (const one of digests) hash.update(one)
  return `${hash.digest("base64")}-${digests.length}`
}

/** The checksum of bytes, by parts of `size`. */
export const checksum = (bytes: Uint8Array, size: number = partBytes): Effect.Effect<string> =>
  Effect.map(Effect.forEach(partsOf(bytes, size), digest), checksumOf)
