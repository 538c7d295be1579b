/**
 * Every way a call to S3 can fail, mapped to what it means for the object. Total: what is in no table counts as S3 not
 * being there. Whether a failed write happened all the same needs no class of its own: it is repeated under the same key.
 *
 * @see S3 API Reference, "Error responses"
 */
import { ClaimCheckError, type ClaimCheckReason } from "../ClaimCheck.ts"
import { baseName, type FailureFacts } from "./sqsErrors.ts"

/** What it means. `retryable`: the same call can succeed later without anybody changing anything. */
export interface Verdict {
  readonly reason: ClaimCheckReason
  readonly retryable: boolean
}

const verdict = (reason: ClaimCheckReason, retryable: boolean): Verdict => ({ reason, retryable })
const notFound = verdict("NotFound", false)
const noBucket = verdict("NoBucket", false)
const denied = verdict("AccessDenied", false)
/** Credentials that renew themselves, a clock being corrected, a metadata service that was busy. */
const deniedForNow = verdict("AccessDenied", true)
const throttled = verdict("Throttled", true)
const unavailable = verdict("Unavailable", true)
/** Damaged on the way in or out: the next try may not be. */
const corrupt = verdict("Corrupt", true)
const invalid = verdict("Invalid", false)

const named = (outcome: Verdict, ...names: ReadonlyArray<string>) => names.map(name => [name, outcome] as const)

const byName: ReadonlyMap<string, Verdict> = new Map([
  ...named(notFound, "NoSuchKey", "NoSuchVersion"),
  ...named(noBucket, "NoSuchBucket", "PermanentRedirect", "AuthorizationHeaderMalformed"),
  ...named(
    denied,
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch"
  ),
  ...named(denied, "InvalidSecurity", "InvalidToken", "NotSignedUp", "InvalidObjectState", "MethodNotAllowed"),
  ...named(denied, "KMS.DisabledException", "KMS.NotFoundException", "KMS.InvalidStateException"),
  ...named(deniedForNow, "ExpiredToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "RequestExpired"),
  ...named(deniedForNow, "CredentialsProviderError", "TokenProviderError"),
  ...named(throttled, "SlowDown", "Throttling", "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded"),
  ...named(unavailable, "InternalError", "ServiceUnavailable", "OperationAborted", "RequestTimeout", "TimeoutError"),
  // The upload was aborted by somebody, or completed by an attempt whose answer was lost: begun anew, it can succeed.
  ...named(unavailable, "NoSuchUpload", "InvalidPart", "InvalidPartOrder", "IncompleteBody"),
  ...named(corrupt, "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidRange"),
  ...named(invalid, "EntityTooLarge", "EntityTooSmall", "InvalidArgument", "InvalidBucketName", "InvalidDigest"),
  ...named(invalid, "InvalidRequest", "KeyTooLongError", "MalformedXML", "MissingContentLength", "NotImplemented")
])

/** A 404 without S3's own name for it says nothing of the object: somebody else may have answered. */
const byStatus = (status: number): Verdict => {
  if (status === 401 || status === 403) return denied
  if (status === 408) return unavailable
  if (status === 416) return corrupt
  if (status === 429) return throttled
  if (status >= 500 || status < 300 || status === 404) return unavailable
  return invalid
}

/** What a failed call means. */
export const classify = (facts: FailureFacts): Verdict =>
  byName.get(facts.name) ?? byName.get(baseName(facts.name)) ?? byStatus(facts.status)

/** The error of a call. */
export const errorOf = (store: string, operation: string, facts: FailureFacts): ClaimCheckError => {
  const what = [facts.name, facts.code, facts.message].filter(part => part !== "").join(": ")
  return new ClaimCheckError({
    ...classify(facts),
    operation,
    message: `${operation} on ${store}: ${what}`,
    cause: facts
  })
}

/** The bytes are not those that the claim was made for. */
export const corruptObject = (store: string, operation: string, message: string): ClaimCheckError =>
  new ClaimCheckError({ ...corrupt, operation, message: `${operation} on ${store}: ${message}` })
