/**
 * The claim check in memory, with faults on demand. For tests and try-outs: nothing in it is durable.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Claim, ClaimCheck, ClaimCheckError, type ClaimCheckReason, type Service } from "../ClaimCheck.ts"
import * as PartDigest from "../internal/partDigest.ts"
import { lengthOf } from "../internal/slices.ts"

/** The calls that can be scripted and are counted. */
export type Operation = "put" | "get" | "delete"

/** What the next call of an operation does instead of succeeding. */
export type Fault =
  /** Fails; nothing happened. */
  | { readonly _tag: "Fail"; readonly reason: ClaimCheckReason }
  /** Never answers; nothing happened. */
  | { readonly _tag: "Hang" }
  /** Answers as usual. */
  | { readonly _tag: "Pass" }

/** The store, and what tests need to know and to break. */
export interface MemoryClaims extends Service {
  /** Calls so far, scripted ones included. */
  readonly calls: Readonly<Record<Operation, number>>
  /** Operations and keys in the order they happened. */
  readonly log: ReadonlyArray<string>
  /** The next calls of `operation`, one fault each. */
  readonly script: (operation: Operation, ...faults: ReadonlyArray<Fault>) => void
  /** Every call fails with `reason` until told `undefined`; scripted faults wait meanwhile. */
  readonly setDown: (reason: ClaimCheckReason | undefined) => void
  /** What is stored, by key. Tests may damage and remove it. */
  readonly objects: Map<string, Uint8Array>
}

const retryableReasons: ReadonlySet<ClaimCheckReason> = new Set(["Throttled", "Unavailable", "Corrupt"])

/** A store of its own. `onChange` is told each put and delete as it happens, e.g. `put events/…`. */
export const make = (bucket = "memory", onChange: (what: string) => void = () => undefined): MemoryClaims => {
  const objects = new Map<string, Uint8Array>()
  const calls = { put: 0, get: 0, delete: 0 }
  const scripts = new Map<Operation, Array<Fault>>()
  const log: Array<string> = []
  let down: ClaimCheckReason | undefined

  const errorOf = (operation: Operation, reason: ClaimCheckReason, message: string): ClaimCheckError =>
    new ClaimCheckError({
      reason,
      operation,
      message: `${operation} on ${bucket}: ${message}`,
      retryable: retryableReasons.has(reason)
    })

  const call = <A>(operation: Operation, work: Effect.Effect<A, ClaimCheckError>): Effect.Effect<A, ClaimCheckError> =>
    Effect.suspend(() => {
      calls[operation]++
      if (down !== undefined) return Effect.fail(errorOf(operation, down, "told to be down"))
      const fault = scripts.get(operation)?.shift() ?? { _tag: "Pass" }
      if (fault._tag === "Hang") return Effect.never
      return fault._tag === "Fail" ? Effect.fail(errorOf(operation, fault.reason, "scripted failure")) : work
    })

  const happened = (operation: Operation, key: string): void => {
    log.push(`${operation} ${key}`)
    onChange(`${operation} ${key}`)
  }

  return {
    name: `memory://${bucket}`,
    calls,
    log,
    objects,
    script: (operation, ...faults) => {
      scripts.set(operation, [...(scripts.get(operation) ?? []), ...faults])
    },
    setDown: reason => {
      down = reason
    },
    put: (key, pieces) =>
      call(
        "put",
        Effect.map(PartDigest.checksum(pieces), (checksum): Claim => {
          objects.set(key, Buffer.concat(pieces))
          happened("put", key)
          return { bucket, key, bytes: lengthOf(pieces), partBytes: PartDigest.partBytes, checksum }
        })
      ),
    get: claim =>
      call(
        "get",
        Effect.gen(function* () {
          const bytes = objects.get(claim.key)
          if (bytes === undefined) return yield* errorOf("get", "NotFound", `there is no ${claim.key}`)
          if ((yield* PartDigest.checksum([bytes], claim.partBytes)) !== claim.checksum) {
            return yield* errorOf("get", "Corrupt", `${claim.key} is not what was stored`)
          }
          return bytes
        })
      ),
    delete: ({ key }) =>
      call(
        "delete",
        Effect.sync(() => {
          objects.delete(key)
          happened("delete", key)
        })
      )
  }
}

/** A store as the layer of the one claim check; keep the store itself to script it. */
export const layer = (claims: MemoryClaims = make()): Layer.Layer<ClaimCheck> => Layer.succeed(ClaimCheck, claims)
