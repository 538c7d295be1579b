/**
 * Every way a call to SQS can fail, mapped to what it means for the messages in it. Total: what is in no table may have
 * been stored.
 *
 * @see SQS API Reference, "Common Error Types" and the errors of each action
 */
import { FallbackQueueError, type FallbackQueueReason } from "../FallbackQueue.ts"

/** What is known of a failed call; nothing of the request itself, which carries credentials. */
export interface FailureFacts {
  /** The error's name or the service's error code. */
  readonly name: string
  /** The socket's or resolver's code, empty when there was none. */
  readonly code: string
  /** HTTP status, 0 when no answer came. */
  readonly status: number
  /** First line of the message. */
  readonly message: string
}

/** What it means. `retryable`: the same call can succeed later without anybody changing anything. */
export interface Verdict {
  readonly reason: FallbackQueueReason
  readonly retryable: boolean
}

const verdict = (reason: FallbackQueueReason, retryable: boolean): Verdict => ({ reason, retryable })
const notFound = verdict("NotFound", false)
const denied = verdict("AccessDenied", false)
/** Credentials that renew themselves, a clock being corrected, a metadata service that was busy. */
const deniedForNow = verdict("AccessDenied", true)
const throttled = verdict("Throttled", true)
const unavailable = verdict("Unavailable", true)
const invalid = verdict("Invalid", false)
const unknown = verdict("Unknown", true)

const named = (outcome: Verdict, ...names: ReadonlyArray<string>) => names.map(name => [name, outcome] as const)

/** By error code, without the prefixes and suffixes `baseName` removes. */
const byName: ReadonlyMap<string, Verdict> = new Map([
  ...named(notFound, "QueueDoesNotExist", "NonExistentQueue", "InvalidAddress", "ResourceNotFound"),
  ...named(denied, "AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignature"),
  ...named(denied, "UnrecognizedClient", "IncompleteSignature", "MissingAuthenticationToken", "NotAuthorized"),
  ...named(denied, "OptInRequired", "AuthFailure", "InvalidSecurity", "InvalidAccessKeyId", "KmsAccessDenied"),
  ...named(denied, "KMS.AccessDenied", "KmsOptInRequired", "KMS.OptInRequired"),
  ...named(deniedForNow, "ExpiredToken", "RequestExpired", "RequestTimeTooSkewed", "CredentialsProviderError"),
  ...named(deniedForNow, "TokenProviderError", "TokenRefreshRequired"),
  ...named(throttled, "Throttling", "Throttled", "RequestThrottled"),
  ...named(throttled, "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "OverLimit"),
  ...named(throttled, "PriorRequestNotComplete", "KmsThrottled", "KMS.Throttling"),
  ...named(unavailable, "ServiceUnavailable", "InternalFailure", "InternalError", "InternalServerError"),
  // A queue of that name cannot be created again for 60 seconds.
  ...named(unavailable, "QueueDeletedRecently"),
  ...named(invalid, "PurgeQueueInProgress", "BatchRequestTooLong", "InvalidMessageContents", "UnsupportedOperation"),
  ...named(invalid, "TooManyEntriesInBatchRequest", "EmptyBatchRequest", "BatchEntryIdsNotDistinct"),
  ...named(invalid, "InvalidBatchEntryId", "ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidIdFormat"),
  ...named(invalid, "InvalidAttributeName", "InvalidAttributeValue", "InvalidParameterValue", "MissingParameter"),
  ...named(invalid, "QueueNameExists", "KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState", "KmsNotFound"),
  ...named(invalid, "KMS.Disabled", "KMS.InvalidKeyUsage", "KMS.InvalidState", "KMS.NotFound"),
  // The service gave up waiting for the rest of the request: nobody says what it did with the first part.
  ...named(unknown, "RequestTimeout")
])

/** No connection was made, so nothing can have been stored. */
const neverConnected: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EMFILE",
  "EPROTO",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
])
const neverConnectedPrefixes = ["CERT_", "ERR_TLS_", "ERR_SSL_"]
/** Words of the SDK's connection timeout and of a socket that closed in the TLS handshake: both come without a code. */
const neverConnectedWords = ["did not establish a connection", "before secure TLS connection was established"]

/** `com.amazonaws.sqs#QueueDoesNotExist`, `AWS.SimpleQueueService.NonExistentQueue` and `ThrottlingException` alike. */
export const baseName = (name: string): string =>
  name
    .replace(/^.*#/, "")
    .replace(/^AWS\.SimpleQueueService\./, "")
    .replace(/Exception$/, "")

const byStatus = (status: number): Verdict | undefined => {
  if (status === 401 || status === 403) return denied
  if (status === 408) return unknown
  if (status === 429) return throttled
  // A gateway that lost its upstream does not know either.
  if (status === 502 || status === 504) return unknown
  if (status >= 500) return unavailable
  return status >= 300 ? invalid : undefined
}

const failedToConnect = (facts: FailureFacts): boolean =>
  neverConnected.has(facts.code) ||
  neverConnectedPrefixes.some(prefix => facts.code.startsWith(prefix)) ||
  neverConnectedWords.some(words => facts.message.includes(words))

/**
 * What a failed call means. `stores`: it was one that stores messages; for all others "it may have happened" is no
 * outcome of its own, asking again is harmless.
 */
export const classify = (facts: FailureFacts, stores: boolean): Verdict => {
  const found =
    byName.get(baseName(facts.name)) ?? (failedToConnect(facts) ? unavailable : (byStatus(facts.status) ?? unknown))
  return found.reason === "Unknown" && !stores ? unavailable : found
}

/** What an entry of a `Failed` list means; `senderFault` decides about codes nobody knows. */
export const classifyEntry = (code: string, senderFault: boolean): Verdict =>
  byName.get(baseName(code)) ?? (senderFault ? invalid : unavailable)

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "")

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? Reflect.get(value, name) : undefined

/** Messages of refused signatures quote the signed request, session token included, from their second line on. */
const firstLine = (message: string): string => (message.split("\n", 1)[0] ?? "").slice(0, 300)

/** What there is to know of anything thrown. */
export const factsOf = (thrown: unknown): FailureFacts => {
  const status = member(member(thrown, "$metadata"), "httpStatusCode")
  return {
    name: text(member(thrown, "name")) || typeof thrown,
    code: text(member(thrown, "code")) || text(member(member(thrown, "cause"), "code")),
    status: typeof status === "number" ? status : 0,
    message: firstLine(text(member(thrown, "message")) || text(thrown))
  }
}

/** The error of a call, or of one entry of it. */
export const errorOf = (
  queue: string,
  operation: string,
  facts: FailureFacts,
  verdict: Verdict
): FallbackQueueError => {
  const what = [facts.name, facts.code, facts.message].filter(part => part !== "").join(": ")
  // The SDK's own error leads to the signed request; the facts are what is worth knowing of it.
  return new FallbackQueueError({
    ...verdict,
    queue,
    operation,
    message: `${operation} on ${queue}: ${what}`,
    cause: facts
  })
}
