/**
 * A store for what no queue message can hold: the bytes lie here, a pointer to them goes through the queue. Drivers:
 * `ClaimCheck/S3` (real) and `ClaimCheck/Memory` (tests). Every object belongs to exactly one message.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { Pieces } from "./internal/slices.ts"

/**
 * `NotFound` (there is no such object), `NoBucket`, `AccessDenied`, `Throttled`, `Unavailable` (unreachable, 5xx, timeout),
 * `Corrupt` (the bytes are not those that were stored), `Invalid` (the service refused the request itself).
 */
export type ClaimCheckReason =
  | "NotFound"
  | "NoBucket"
  | "AccessDenied"
  | "Throttled"
  | "Unavailable"
  | "Corrupt"
  | "Invalid"

export class ClaimCheckError extends Data.TaggedError("ClaimCheckError")<{
  readonly reason: ClaimCheckReason
  readonly operation: string
  readonly message: string
  /** Trying the same call again later can succeed. */
  readonly retryable: boolean
  readonly cause?: unknown
}> {}

/** Where an object is, and what must come out of it. */
export interface Claim {
  readonly bucket: string
  readonly key: string
  readonly bytes: number
  /** The object was stored, and is checked, in parts of this size. */
  readonly partBytes: number
  /** SHA-256 as S3 writes it: base64 for one part; base64 of the SHA-256 over the parts' SHA-256s, `-`, their number. */
  readonly checksum: string
}

export interface Service {
  /** Name for people: logs, health. */
  readonly name: string
  /**
   * Stores the pieces as one object under `key`, which must be new. Durable once it succeeds; tries for at most `budgetMs`. When it fails or
   * is interrupted, what there may be of the object is removed as far as that is possible.
   */
  readonly put: (key: string, pieces: Pieces, budgetMs: number) => Effect.Effect<Claim, ClaimCheckError>
  /** The bytes of an object, checked against the claim: never others than those stored. */
  readonly get: (claim: Claim) => Effect.Effect<Uint8Array, ClaimCheckError>
  /** Removes an object; one that is gone already is no error. */
  readonly delete: (claim: Claim) => Effect.Effect<void, ClaimCheckError>
}

export class ClaimCheck extends Context.Tag("spillway/ClaimCheck")<ClaimCheck, Service>() {}
