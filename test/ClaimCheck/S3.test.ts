import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as S3 from "../../src/ClaimCheck/S3.ts"
import type { Claim, ClaimCheckError, Service } from "../../src/ClaimCheck.ts"
import * as Bucket from "../support/Bucket.ts"
import { noise } from "../support/batches.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { type FaultyS3, startFaultyS3 } from "./faultyS3.ts"

const MiB = 1024 * 1024
const small = noise(100_000, 1)
/** Two parts, and still what the server takes in one request. */
const medium = noise(9 * MiB, 3)
const large = noise(17 * MiB + 5, 2)

describe("ClaimCheck/S3", () => {
  let fauxqs: Fauxqs.Fauxqs
  before(async () => {
    fauxqs = await Fauxqs.start({ persistent: false })
    fauxqs.server().createBucket("claims")
  })
  after(() => fauxqs.stop())

  const inside = () => Bucket.bucket(fauxqs.endpoint, "claims")
  const objects = Effect.promise(() => inside().keys())
  const overwrite = (key: string, bytes: Uint8Array) => Effect.promise(() => inside().put(key, bytes))
  const checksum = (key: string) => Effect.promise(() => inside().checksum(key))

  const run = (
    use: (claims: Service, s3: FaultyS3) => Effect.Effect<void, ClaimCheckError>,
    options: { readonly bucket?: string; readonly requestTimeoutMs?: number } = {}
  ): Promise<void> =>
    Effect.gen(function* () {
      const s3 = yield* Effect.acquireRelease(
        Effect.promise(() => startFaultyS3(fauxqs.endpoint)),
        faulty => Effect.promise(() => faulty.stop())
      )
      const claims = yield* S3.make({
        bucket: options.bucket ?? "claims",
        prefix: "/pre/",
        client: {
          region: "us-east-1",
          endpoint: s3.endpoint,
          pathStyle: true,
          accessKeyId: "test",
          secretAccessKey: Redacted.make("test"),
          requestTimeoutMs: options.requestTimeoutMs ?? 5000,
          connectionTimeoutMs: 1000
        }
      })
      yield* use(claims, s3)
    }).pipe(Effect.scoped, Effect.runPromise)

  const reasonOf = <A>(call: Effect.Effect<A, ClaimCheckError>) =>
    Effect.map(Effect.either(call), result => (Either.isLeft(result) ? result.left.reason : "success"))

  it("stores a small object in one request, a large one in parts, and gives both back", () =>
    run((claims, s3) =>
      Effect.gen(function* () {
        const one = yield* claims.put("t/small", [small], 10_000)
        assert.deepEqual(s3.requests, ["put"])
        assert.equal(one.key, "pre/t/small")
        const two = yield* claims.put("t/large", [large], 10_000)
        assert.deepEqual(s3.requests.slice(1).sort(), ["complete", "create", "part", "part", "part"])
        assert.match(two.checksum, /^[A-Za-z0-9+/]{43}=-3$/)
        // The single object, three parts, and what completes the upload.
        assert.deepEqual(s3.signed, [true, true, true, true, true])
        // The same checksum that S3 computed, so that people can compare.
        assert.equal(yield* checksum("pre/t/large"), two.checksum)
        assert.equal(yield* checksum("pre/t/small"), one.checksum)
        assert.ok(Buffer.from(large).equals(yield* claims.get(two)))
        assert.ok(Buffer.from(small).equals(yield* claims.get(one)))
        yield* claims.delete(two)
        yield* claims.delete(one)
        yield* claims.delete(one)
        assert.deepEqual(yield* objects, [])
      })
    ))

  it("gives no other bytes back than those stored (checksum verified on get)", () =>
    run((claims, s3) =>
      Effect.gen(function* () {
        const claim = yield* claims.put("t/damaged", [medium], 10_000)
        const damaged = Uint8Array.from(medium)
        damaged[medium.length - 1] = (damaged[medium.length - 1] ?? 0) ^ 1
        yield* overwrite(claim.key, damaged)
        assert.equal(yield* reasonOf(claims.get(claim)), "Corrupt")
        yield* overwrite(claim.key, medium.subarray(1))
        assert.equal(yield* reasonOf(claims.get(claim)), "Corrupt")
        yield* overwrite(claim.key, medium.subarray(0, 8 * MiB))
        assert.equal(yield* reasonOf(claims.get(claim)), "Corrupt")
        // Damaged on the way only: right at the next try, by whoever asks again.
        yield* overwrite(claim.key, medium)
        s3.script("get", { _tag: "Damage" })
        const first = yield* Effect.either(claims.get(claim))
        assert.equal(Either.isLeft(first) && first.left.retryable, true)
        assert.ok(Buffer.from(medium).equals(yield* claims.get(claim)))
        yield* claims.delete(claim)
      })
    ))

  it("says what is missing", () =>
    Promise.all([
      run(claims =>
        Effect.gen(function* () {
          const claim: Claim = { bucket: "claims", key: "gone", bytes: 10, partBytes: 8 * MiB, checksum: "" }
          const read = yield* Effect.either(claims.get(claim))
          assert.ok(Either.isLeft(read))
          assert.deepEqual([read.left.reason, read.left.retryable], ["NotFound", false])
        })
      ),
      run(
        claims =>
          Effect.gen(function* () {
            assert.equal(yield* reasonOf(claims.put("t/x", [small], 3000)), "NoBucket")
            assert.equal(yield* reasonOf(claims.put("t/x", [large], 3000)), "NoBucket")
          }),
        { bucket: "nowhere" }
      )
    ]).then(() => undefined))

  it("repeats single requests, not whole uploads, within its budget", () =>
    run((claims, s3) =>
      Effect.gen(function* () {
        s3.script("put", { _tag: "Answer", status: 503, code: "SlowDown" }, { _tag: "LoseReply" })
        yield* claims.delete(yield* claims.put("t/a", [small], 10_000))
        assert.equal(s3.requests.filter(kind => kind === "put").length, 3)
        s3.script("part", { _tag: "LoseReply" }, { _tag: "Answer", status: 500, code: "InternalError" })
        s3.script("complete", { _tag: "Answer", status: 200, code: "InternalError" })
        const claim = yield* claims.put("t/b", [large], 10_000)
        assert.equal(s3.requests.filter(kind => kind === "part").length, 5)
        assert.equal(s3.requests.filter(kind => kind === "create").length, 1)
        assert.equal(s3.requests.filter(kind => kind === "complete").length, 2)
        s3.script("get", { _tag: "LoseReply" }, { _tag: "Answer", status: 503, code: "SlowDown" })
        assert.ok(Buffer.from(large).equals(yield* claims.get(claim)))
        yield* claims.delete(claim)
      })
    ))

  it("leaves neither upload nor object behind when it fails or is interrupted", () =>
    run(
      (claims, s3) =>
        Effect.gen(function* () {
          s3.script("part", { _tag: "Answer", status: 403, code: "AccessDenied" })
          assert.equal(yield* reasonOf(claims.put("t/denied", [large], 10_000)), "AccessDenied")
          assert.equal(s3.requests.filter(kind => kind === "abort").length, 1)
          s3.script("put", ...Array.from({ length: 50 }, () => ({ _tag: "LoseReply" }) as const))
          assert.equal(yield* reasonOf(claims.put("t/lost", [small], 500)), "Unavailable")
          assert.deepEqual(yield* objects, [])
          s3.script("part", { _tag: "Silence" }, { _tag: "Silence" }, { _tag: "Silence" })
          const put = yield* Effect.fork(claims.put("t/stopped", [large], 60_000))
          const parts = s3.requests.filter(kind => kind === "part").length + 3
          yield* Effect.promise(() =>
            eventually("the parts", 10_000, () =>
              s3.requests.filter(kind => kind === "part").length === parts ? true : undefined
            )
          )
          yield* Fiber.interrupt(put)
          assert.equal(s3.requests.filter(kind => kind === "abort").length, 2)
          // The requests themselves were given up, not only what waited for them.
          yield* Effect.promise(() =>
            eventually("the end of the connections", 5000, () => (s3.waiting() === 0 ? true : undefined))
          )
          assert.deepEqual(yield* objects, [])
        }),
      { requestTimeoutMs: 30_000 }
    ))

  it("ends a call that gets no answer at its deadline, and a put at its budget", () =>
    run(
      (claims, s3) =>
        Effect.gen(function* () {
          s3.script("put", { _tag: "Silence" })
          const claim = yield* claims.put("t/slow", [small], 10_000)
          // Tried again, once or, on a slow machine, more often.
          assert.ok(s3.requests.filter(kind => kind === "put").length >= 2)
          s3.script("get", ...Array.from({ length: 30 }, () => ({ _tag: "Silence" }) as const))
          assert.equal(yield* reasonOf(claims.get(claim)), "Unavailable")
          s3.script("part", ...Array.from({ length: 30 }, () => ({ _tag: "Silence" }) as const))
          assert.equal(yield* reasonOf(claims.put("t/never", [large], 2500)), "Unavailable")
          assert.ok(s3.requests.includes("abort"), s3.requests.join(" "))
          s3.script("delete", { _tag: "Silence" })
          const before = s3.requests.filter(kind => kind === "delete").length
          yield* claims.delete(claim)
          assert.ok(s3.requests.filter(kind => kind === "delete").length - before >= 2)
        }),
      { requestTimeoutMs: 300 }
    ))

  it("says Unavailable where nothing listens", () =>
    Effect.gen(function* () {
      const claims = yield* S3.make({
        bucket: "claims",
        prefix: "",
        client: {
          region: "us-east-1",
          endpoint: "http://127.0.0.1:1",
          pathStyle: true,
          accessKeyId: "test",
          secretAccessKey: Redacted.make("test"),
          requestTimeoutMs: 1000,
          connectionTimeoutMs: 500
        }
      })
      assert.equal(yield* reasonOf(claims.put("t/x", [small], 300)), "Unavailable")
    }).pipe(Effect.scoped, Effect.runPromise))
})
