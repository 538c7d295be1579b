/**
 * The checksum of a large object, part by part, in the form S3 gives it ("Checking object integrity in Amazon S3",
 * composite checksums). Parts are digested off the event loop; one at a time is copied there.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import { cutOut, joined, lengthOf, type Pieces } from "./slices.ts"

/** Bytes of a part; the last one is smaller. At least 5 MiB ("Amazon S3 multipart upload limits"). */
export const partBytes = 8 * 1024 * 1024
/** The most parts S3 takes. */
export const maximumParts = 10_000

/** One entry a part, at least one. A part is made when it is asked for, and is a view where that is possible. */
export const partsOf = (pieces: Pieces, size: number = partBytes): ReadonlyArray<() => Uint8Array> => {
  const count = Math.max(1, Math.ceil(lengthOf(pieces) / size))
  return Array.from({ length: count }, (_, n) => () => joined(cutOut(pieces, n * size, (n + 1) * size)))
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
export const checksum = (pieces: Pieces, size: number = partBytes): Effect.Effect<string> =>
  Effect.map(
    Effect.forEach(partsOf(pieces, size), part => Effect.suspend(() => digest(part()))),
    checksumOf
  )
