/**
 * The claim check on Amazon S3, or anything that speaks its API. An object above one part is uploaded in parts, several
 * at a time, and read back by ranges of the same size; every part is checked on the way in (by S3) and out (here).
 */
import { Readable } from "node:stream"
import { finished } from "node:stream/promises"
import * as S3 from "@aws-sdk/client-s3"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Claim, ClaimCheck, type ClaimCheckError, type Service } from "../ClaimCheck.ts"
import { type AwsAccess, awsClient } from "../internal/awsClient.ts"
import * as PartDigest from "../internal/partDigest.ts"
import { corruptObject, errorOf } from "../internal/s3Errors.ts"
import { joined, lengthOf, slicesOf } from "../internal/slices.ts"
import { factsOf } from "../internal/sqsErrors.ts"

/** How to reach S3. One request moves at most one part (8 MiB). */
export interface ClientOptions extends AwsAccess {
  /** The bucket in the path instead of the host name, as most S3-compatible services want it. */
  readonly pathStyle: boolean
}

export interface Options {
  readonly bucket: string
  /** Put before every key, with a slash between; empty for none. */
  readonly prefix: string
  readonly client: ClientOptions
}

/**
 * Parts of one object on their way at the same time: bounds memory, and makes long distances short. Of those that come the
 * runtime has whatever is not looked at yet.
 */
const concurrency = { put: 4, get: 2 }
const maximumSockets = 32
/** Of a part's body that is with the runtime at a time, bytes. */
const sliceBytes = 256 * 1024
/** What the deadline around a call adds to the SDK's own, so that the SDK's, which knows more, speaks first, ms. */
const deadlineMarginMs = 500
/** How long removing what a failed put left may take, ms. */
const cleanUpMs = 2000
/** How often reading one part, or removing an object, is tried again. */
const retries = 2
/** Between two tries of one request: at first 50 ms, at most a second. */
const pauses = Schedule.exponential(50).pipe(
  Schedule.modifyDelay((_, delay) => Duration.min(delay, Duration.seconds(1))),
  Schedule.jittered
)

const isRequest = (request: unknown): request is { readonly headers: Record<string, string> } =>
  typeof request === "object" && request !== null && "headers" in request

const makeClient = ({ client }: Options): S3.S3Client => {
  const made = new S3.S3Client({
    ...awsClient(client, maximumSockets),
    forcePathStyle: client.pathStyle,
    // Every part carries our SHA-256, and is checked against it when it is read.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED"
  })
  // It is what the signature covers, too, and would be worked out once more, on the event loop, if it were not there
  // ("Authenticating Requests: Using the Authorization Header").
  const sign = (request: { readonly headers: Record<string, string> }) => {
    const sha256 = request.headers["x-amz-checksum-sha256"]
    if (sha256 !== undefined) request.headers["x-amz-content-sha256"] = Buffer.from(sha256, "base64").toString("hex")
  }
  made.middlewareStack.add(
    next => args => {
      if (isRequest(args.request)) sign(args.request)
      return next(args)
    },
    { step: "build", name: "knownContentSha256" }
  )
  return made
}

/**
 * A part as a body that is handed over slice by slice, as fast as it leaves: Bun copies what it is given at once, and its
 * garbage collector lets the copies lie.
 */
const bodyOf = (part: Uint8Array) => ({
  Body: Readable.from(slicesOf([part], sliceBytes), { objectMode: false, highWaterMark: sliceBytes }),
  ContentLength: part.length
})

/** Gives back memory at once that is nobody else's. */
const free = ({ buffer, byteLength }: Uint8Array): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/** Writes what comes into `part`, as far as it has room; how much came. */
const fill = async (part: Uint8Array, body: Readable): Promise<number> => {
  let length = 0
  // Iterating would join chunks up first: a copy more.
  body.on("data", (chunk: Uint8Array) => {
    if (length + chunk.length <= part.length) part.set(chunk, length)
    length += chunk.length
    free(chunk)
  })
  await finished(body)
  return length
}

const fewTimes = <A>(call: Effect.Effect<A, ClaimCheckError>): Effect.Effect<A, ClaimCheckError> =>
  Effect.retry(call, { schedule: pauses, times: retries, while: error => error.retryable })

/** Contacts nothing before it is used. The SDK's client closes with the scope. */
export const make = (options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { bucket: Bucket } = options
    const { requestTimeoutMs } = options.client
    const prefix = options.prefix.replace(/^\/+|\/+$/g, "")
    const name = `s3://${Bucket}${prefix === "" ? "" : `/${prefix}`}`
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => makeClient(options)),
      opened => Effect.sync(() => opened.destroy())
    )

    const request = <Answer>(
      operation: string,
      send: (abortSignal: { readonly abortSignal: AbortSignal }) => Promise<Answer>
    ): Effect.Effect<Answer, ClaimCheckError> => {
      const duration = requestTimeoutMs + deadlineMarginMs
      const message = `no complete answer within ${duration} ms`
      return Effect.tryPromise({
        try: abortSignal => send({ abortSignal }),
        catch: thrown => errorOf(name, operation, factsOf(thrown))
      }).pipe(
        Effect.timeoutFail({
          duration,
          onTimeout: () => errorOf(name, operation, { name: "TimeoutError", code: "", status: 0, message })
        })
      )
    }

    const remove = (place: { readonly Bucket: string; readonly Key: string }) =>
      request("DeleteObject", abort => client.send(new S3.DeleteObjectCommand(place), abort))

    /**
     * In finalizers, which nothing interrupts from outside: its own time is all it has. Tried again within it, as a kept
     * connection may have ended meanwhile.
     */
    const attempted = <A>(cleanUp: Effect.Effect<A, ClaimCheckError>) => {
      const tries = Effect.retry(cleanUp, { schedule: pauses, while: error => error.retryable })
      return Effect.ignore(Effect.timeout(Effect.interruptible(tries), cleanUpMs))
    }

    const answered = (value: string | undefined, operation: string, what: string) =>
      value === undefined
        ? Effect.fail(corruptObject(name, operation, `the answer lacks the ${what}`))
        : Effect.succeed(value)

    const put: Service["put"] = (path, pieces, budgetMs) =>
      Effect.gen(function* () {
        const Key = prefix === "" ? path : `${prefix}/${path}`
        const endsAt = (yield* Clock.currentTimeMillis) + budgetMs
        const again = <A>(call: Effect.Effect<A, ClaimCheckError>) =>
          Effect.retry(call, {
            schedule: pauses,
            while: error => Effect.map(Clock.currentTimeMillis, now => error.retryable && now < endsAt)
          })
        const parts = PartDigest.partsOf(pieces)
        const digests: Array<Uint8Array> = []
        const digested = (index: number, part: Uint8Array) =>
          Effect.map(PartDigest.digest(part), digest => {
            digests[index] = digest
            return PartDigest.base64(digest)
          })

        const single = Effect.gen(function* () {
          const part = joined(pieces)
          const ChecksumSHA256 = yield* digested(0, part)
          const command = () => new S3.PutObjectCommand({ Bucket, Key, ...bodyOf(part), ChecksumSHA256 })
          yield* again(
            request("PutObject", abort => client.send(command(), abort)).pipe(
              // An answer without it is not S3's own.
              Effect.flatMap(({ ETag }) => answered(ETag, "PutObject", "ETag"))
            )
          )
        })

        const uploadPart = (UploadId: string, made: () => Uint8Array, index: number) =>
          Effect.gen(function* () {
            const part = made()
            const ChecksumSHA256 = yield* digested(index, part)
            const place = { Bucket, Key, UploadId, PartNumber: index + 1, ChecksumSHA256 }
            const command = () => new S3.UploadPartCommand({ ...place, ...bodyOf(part) })
            const answer = yield* again(request("UploadPart", abort => client.send(command(), abort)))
            const ETag = yield* answered(answer.ETag, "UploadPart", "ETag")
            return { PartNumber: index + 1, ETag, ChecksumSHA256 }
          })

        const inParts = Effect.acquireUseRelease(
          // Interruptible: an upload begun without our knowing its id is for the bucket's lifecycle rule.
          Effect.interruptible(
            again(
              request("CreateMultipartUpload", abort =>
                client.send(new S3.CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: "SHA256" }), abort)
              )
            ).pipe(Effect.flatMap(({ UploadId }) => answered(UploadId, "CreateMultipartUpload", "UploadId")))
          ),
          UploadId =>
            Effect.gen(function* () {
              const Parts = yield* Effect.forEach(parts, (part, index) => uploadPart(UploadId, part, index), {
                concurrency: concurrency.put
              })
              const command = () =>
                new S3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })
              const answer = yield* again(request("CompleteMultipartUpload", abort => client.send(command(), abort)))
              yield* answered(answer.ETag, "CompleteMultipartUpload", "ETag")
              const ours = PartDigest.checksumOf(digests)
              if (answer.ChecksumSHA256 !== undefined && answer.ChecksumSHA256 !== ours) {
                const message = `S3 has ${answer.ChecksumSHA256}, sent was ${ours}`
                return yield* corruptObject(name, "CompleteMultipartUpload", message)
              }
            }),
          (UploadId, exit) => {
            const abort = request("AbortMultipartUpload", signal =>
              client.send(new S3.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), signal)
            )
            return Exit.isSuccess(exit) ? Effect.void : attempted(abort)
          }
        )

        yield* (parts.length === 1 ? single : inParts).pipe(
          Effect.timeoutFail({
            duration: budgetMs,
            onTimeout: () => {
              const message = `not stored within ${budgetMs} ms`
              return errorOf(name, "put", { name: "TimeoutError", code: "", status: 0, message })
            }
          }),
          // A request whose answer was lost may have stored it all the same.
          Effect.onError(() => attempted(remove({ Bucket, Key })))
        )
        const { partBytes } = PartDigest
        const claim: Claim = {
          bucket: Bucket,
          key: Key,
          bytes: lengthOf(pieces),
          partBytes,
          checksum: PartDigest.checksumOf(digests)
        }
        return claim
      })

    const readPart = (claim: Claim, from: number, into: Uint8Array) =>
      Effect.gen(function* () {
        const to = Math.min(from + claim.partBytes, claim.bytes)
        const place = { Bucket: claim.bucket, Key: claim.key, Range: `bytes=${from}-${to - 1}` }
        const part = into.subarray(from, to)
        const length = yield* request("GetObject", async abort => {
          const { Body } = await client.send(new S3.GetObjectCommand(place), abort)
          return Body instanceof Readable ? fill(part, Body) : 0
        })
        if (length !== part.length) {
          const message = `${length} bytes of ${claim.key} where ${part.length} are claimed`
          return yield* corruptObject(name, "GetObject", message)
        }
        return yield* PartDigest.digest(part)
      })

    const get: Service["get"] = claim =>
      Effect.gen(function* () {
        const bytes = Buffer.allocUnsafeSlow(claim.bytes)
        const starts = Array.from({ length: Math.ceil(claim.bytes / claim.partBytes) }, (_, i) => i * claim.partBytes)
        const digests = yield* Effect.forEach(starts, from => fewTimes(readPart(claim, from, bytes)), {
          concurrency: concurrency.get
        })
        const found = PartDigest.checksumOf(digests)
        if (found !== claim.checksum) {
          return yield* corruptObject(
            name,
            "GetObject",
            `${claim.key} has SHA-256 ${found}, stored was ${claim.checksum}`
          )
        }
        return bytes
      })

    return {
      name,
      put,
      get,
      delete: ({ bucket, key }) => Effect.asVoid(fewTimes(remove({ Bucket: bucket, Key: key })))
    }
  })

/** `make` as the layer of the one claim check. */
export const layer = (options: Options): Layer.Layer<ClaimCheck> => Layer.scoped(ClaimCheck, make(options))
