/**
 * Looks at a bucket for `doctor`: every call the claim check needs, on an object of its own under the configured prefix,
 * which is removed again; and what the bucket does with objects by itself.
 */
import * as S3 from "@aws-sdk/client-s3"
import { awsClient } from "../internal/awsClient.ts"
import {
  type BucketEvidence,
  denied,
  type LifecycleRule,
  type Look,
  missing,
  seen,
  unseen
} from "../internal/doctor/evidence.ts"
import { classify } from "../internal/s3Errors.ts"
import { factsOf } from "../internal/sqsErrors.ts"
import type { ClientOptions } from "./S3.ts"

const lookOf = (thrown: unknown): Look<never> => {
  const facts = factsOf(thrown)
  const { reason } = classify(facts)
  const text = [facts.name, facts.message].filter(part => part !== "").join(": ")
  return reason === "NoBucket" ? missing : reason === "AccessDenied" ? denied(text) : unseen(text)
}

const look = <A, B>(call: Promise<A>, of: (answer: A) => B): Promise<Look<B>> =>
  call.then(answer => seen(of(answer)), lookOf)

const done = (): true => true

const rulesOf = ({ Rules = [] }: S3.GetBucketLifecycleConfigurationCommandOutput): ReadonlyArray<LifecycleRule> =>
  Rules.flatMap(rule => {
    const { AbortIncompleteMultipartUpload, Expiration, Filter, ID, NoncurrentVersionExpiration, Status } = rule
    const narrow = Filter?.And ?? Filter
    const tagged = Filter?.Tag !== undefined || (Filter?.And?.Tags?.length ?? 0) > 0
    const sized = narrow?.ObjectSizeGreaterThan !== undefined || narrow?.ObjectSizeLessThan !== undefined
    if (Status !== "Enabled" || tagged || sized) return []
    return [
      {
        id: ID ?? "",
        prefix: narrow?.Prefix ?? rule.Prefix ?? "",
        expirationDays: Expiration?.Days,
        abortUploadDays: AbortIncompleteMultipartUpload?.DaysAfterInitiation,
        noncurrentDays: NoncurrentVersionExpiration?.NoncurrentDays
      }
    ]
  })

/** Never rejects. `id` makes the object's key one that nobody else has. */
export const inspect = async (
  { bucket: Bucket, client: name, prefix: given }: Pick<BucketEvidence, "bucket" | "client" | "prefix">,
  options: ClientOptions,
  id: string
): Promise<BucketEvidence> => {
  const prefix = given.replace(/^\/+|\/+$/g, "")
  const client = new S3.S3Client({
    ...awsClient(options, 4),
    forcePathStyle: options.pathStyle,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED"
  })
  const Key = `${prefix === "" ? "" : `${prefix}/`}spillway-doctor/${id}`
  const place = { Bucket, Key }
  const notTried = unseen("PutObject did not succeed")
  try {
    const put = await look(client.send(new S3.PutObjectCommand({ ...place, Body: "spillway doctor" })), done)
    const stored = put._tag === "Seen"
    const get = stored
      ? await look(
          client.send(new S3.GetObjectCommand(place)).then(({ Body }) => Body?.transformToByteArray()),
          done
        )
      : notTried
    const remove = stored ? await look(client.send(new S3.DeleteObjectCommand(place)), done) : notTried
    const upload = await look(client.send(new S3.CreateMultipartUploadCommand(place)), ({ UploadId }) => UploadId)
    const UploadId = upload._tag === "Seen" ? upload.value : undefined
    const abort =
      UploadId === undefined
        ? unseen("no upload could be begun")
        : await look(client.send(new S3.AbortMultipartUploadCommand({ ...place, UploadId })), done)
    // S3 tells who may list the bucket that an object is gone, and everybody else that they may not know.
    const absent = await look(client.send(new S3.GetObjectCommand({ Bucket, Key: `${Key}-absent` })), done)
    const list =
      get._tag !== "Seen" ? unseen("GetObject did not succeed") : absent._tag === "Denied" ? absent : seen<true>(true)
    const lifecycle = await client.send(new S3.GetBucketLifecycleConfigurationCommand({ Bucket })).then(
      answer => seen(rulesOf(answer)),
      (thrown: unknown) => (factsOf(thrown).name === "NoSuchLifecycleConfiguration" ? seen([]) : lookOf(thrown))
    )
    const versioned = await look(
      client.send(new S3.GetBucketVersioningCommand({ Bucket })),
      ({ Status }) => Status === "Enabled"
    )
    const tried = {
      PutObject: put,
      GetObject: get,
      DeleteObject: remove,
      AbortMultipartUpload: abort,
      ListBucket: list
    }
    return { client: name, bucket: Bucket, prefix, tried, lifecycle, versioned }
  } finally {
    client.destroy()
  }
}
