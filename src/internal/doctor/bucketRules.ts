/**
 * What the bucket of a claim check must be like.
 */
import type { BucketEvidence, LifecycleRule } from "./evidence.ts"
import { type Result, Results } from "./result.ts"

const day = 86_400

const folderOf = ({ prefix }: BucketEvidence): string => (prefix === "" ? "" : `${prefix}/`)

/** A rule concerns our objects when one of the two prefixes begins with the other. */
const concerns = (rule: LifecycleRule, folder: string): boolean =>
  folder.startsWith(rule.prefix) || rule.prefix.startsWith(folder)

const least = (rules: ReadonlyArray<LifecycleRule>, of: (rule: LifecycleRule) => number | undefined) =>
  rules.map(of).reduce((a, b) => (a === undefined ? b : b === undefined ? a : Math.min(a, b)), undefined)

export interface BucketSurroundings {
  /** Retention of the queues whose messages point here, the longest of them, seconds. */
  readonly queueSeconds: number
  /** And of their dead-letter queues. */
  readonly deadLetterSeconds: number
}

export const bucketRules = (evidence: BucketEvidence, around: BucketSurroundings): ReadonlyArray<Result> => {
  const folder = folderOf(evidence)
  const results = new Results(`bucket ${evidence.bucket}`)
  const looks = Object.values(evidence.tried)
  if (looks.some(({ _tag }) => _tag === "Missing")) {
    const fix = `aws s3api create-bucket --bucket ${evidence.bucket}, or correct retry.claim_check.bucket`
    results.error("bucket-exists", "there is no such bucket in this region", fix)
    return results.list
  }
  const unreached = looks.find(({ _tag }) => _tag === "Unseen")
  if (unreached?._tag === "Unseen" && looks.every(({ _tag }) => _tag === "Unseen")) {
    const fix = `check cloud.aws.s3.clients.${evidence.client} and the network`
    results.error("bucket-reachable", `it cannot be used: ${unreached.message}`, fix)
    return results.list
  }
  results.ok("bucket-exists", `under ${folder === "" ? "its root" : folder}`)
  for (const [operation, look] of Object.entries(evidence.tried)) {
    if (look._tag === "Denied") {
      const on =
        operation === "ListBucket" ? `arn:aws:s3:::${evidence.bucket}` : `arn:aws:s3:::${evidence.bucket}/${folder}*`
      const fix = `allow s3:${operation} on ${on} to this role`
      const what = `${operation} is denied: ${look.message}`
      // Only how the end of an object is told depends on it.
      if (operation === "ListBucket") {
        results.warning(
          "bucket-access",
          `${what}; a message whose object is gone is tried until its retention ends`,
          fix
        )
      } else results.error("bucket-access", what, fix)
    } else if (results.value(look, ["bucket-access"], `whether ${operation} is allowed`) !== undefined) {
      results.ok("bucket-access", `${operation} is allowed`)
    }
  }
  lifecycle(results, evidence, folder, around)
  return results.list
}

const lifecycle = (results: Results, evidence: BucketEvidence, folder: string, around: BucketSurroundings): void => {
  const { deadLetterSeconds, queueSeconds } = around
  const hint = `allow s3:GetLifecycleConfiguration on ${evidence.bucket}, or look yourself: aws s3api get-bucket-lifecycle-configuration --bucket ${evidence.bucket}`
  const rules = results.value(evidence.lifecycle, ["bucket-expiry", "bucket-orphans"], "its lifecycle rules", hint)
  const versioned = results.value(
    evidence.versioned,
    ["bucket-versions"],
    "whether it keeps versions",
    `allow s3:GetBucketVersioning on ${evidence.bucket}`
  )
  if (rules === undefined) return
  const ours = rules.filter(rule => concerns(rule, folder))
  const expiry = least(ours, rule => rule.expirationDays)
  const needed = Math.ceil((queueSeconds + deadLetterSeconds) / day)
  const queue = Math.ceil(queueSeconds / day)
  const sample = `a rule for prefix ${folder === "" ? '""' : folder} that expires objects after ${Math.max(needed + 2, 30)} days and aborts uploads after 1: docs/operations/claim-check.md`
  if (expiry !== undefined && expiry <= queue) {
    const what = `a lifecycle rule deletes objects after ${expiry} days, and their messages live ${queue}`
    results.error("bucket-expiry", what, sample)
  } else if (expiry !== undefined && expiry <= needed) {
    const what = `a lifecycle rule deletes objects after ${expiry} days; messages and dead letters together live ${needed}`
    results.warning("bucket-expiry", what, sample)
  } else results.ok("bucket-expiry", expiry === undefined ? "no rule deletes objects" : `objects live ${expiry} days`)

  const covering = ours.filter(rule => folder.startsWith(rule.prefix))
  const lacking = [
    ...(least(covering, rule => rule.expirationDays) === undefined ? ["objects"] : []),
    ...(least(covering, rule => rule.abortUploadDays) === undefined ? ["unfinished uploads"] : [])
  ]
  if (lacking.length > 0)
    results.info("bucket-orphans", `no lifecycle rule removes old ${lacking.join(" and ")}`, sample)
  else results.ok("bucket-orphans", "a lifecycle rule removes what a crash leaves behind")

  if (versioned === undefined) return
  if (versioned && least(covering, rule => rule.noncurrentDays) === undefined) {
    const fix = "add NoncurrentVersionExpiration to the lifecycle rule"
    results.info("bucket-versions", "it keeps versions, and no lifecycle rule removes noncurrent ones", fix)
  } else results.ok("bucket-versions", versioned ? "noncurrent versions are removed" : "it keeps no versions")
}
