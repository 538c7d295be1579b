import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { classify, classifyEntry, errorOf, type FailureFacts, factsOf } from "../../src/internal/sqsErrors.ts"

const facts = (rest: Partial<FailureFacts>): FailureFacts => ({
  name: "Error",
  code: "",
  status: 0,
  message: "",
  ...rest
})
const verdict = (rest: Partial<FailureFacts>, stores = true): string => {
  const { reason, retryable } = classify(facts(rest), stores)
  return retryable ? `${reason}, retryable` : reason
}

test("what a failed send means, by name, code and status", () => {
  const table: ReadonlyArray<readonly [Partial<FailureFacts>, string]> = [
    [{ name: "QueueDoesNotExist", status: 400 }, "NotFound"],
    [{ name: "AWS.SimpleQueueService.NonExistentQueue", status: 400 }, "NotFound"],
    [{ name: "com.amazonaws.sqs#QueueDoesNotExist", status: 400 }, "NotFound"],
    [{ name: "AccessDenied", status: 403 }, "AccessDenied"],
    [{ name: "AccessDeniedException", status: 400 }, "AccessDenied"],
    [{ name: "InvalidClientTokenId", status: 403 }, "AccessDenied"],
    [{ name: "SignatureDoesNotMatch", status: 403 }, "AccessDenied"],
    [{ name: "UnrecognizedClientException", status: 400 }, "AccessDenied"],
    [{ name: "KmsAccessDenied", status: 400 }, "AccessDenied"],
    [{ name: "Unheard", status: 403 }, "AccessDenied"],
    [{ name: "ExpiredTokenException", status: 403 }, "AccessDenied, retryable"],
    [{ name: "CredentialsProviderError" }, "AccessDenied, retryable"],
    [{ name: "ThrottlingException", status: 400 }, "Throttled, retryable"],
    [{ name: "RequestThrottled", status: 403 }, "Throttled, retryable"],
    [{ name: "OverLimit", status: 403 }, "Throttled, retryable"],
    [{ name: "KmsThrottled", status: 400 }, "Throttled, retryable"],
    [{ name: "Unheard", status: 429 }, "Throttled, retryable"],
    [{ name: "TimeoutError", code: "ECONNREFUSED" }, "Unavailable, retryable"],
    [{ code: "ENOTFOUND" }, "Unavailable, retryable"],
    [{ name: "DNSException", code: "EAI_AGAIN" }, "Unavailable, retryable"],
    [{ code: "CERT_HAS_EXPIRED" }, "Unavailable, retryable"],
    [{ code: "ERR_TLS_CERT_ALTNAME_INVALID" }, "Unavailable, retryable"],
    [
      { name: "TimeoutError", message: "the request socket did not establish a connection with the server within" },
      "Unavailable, retryable"
    ],
    [
      {
        code: "ECONNRESET",
        message: "Client network socket disconnected before secure TLS connection was established"
      },
      "Unavailable, retryable"
    ],
    [{ name: "ServiceUnavailable", status: 503 }, "Unavailable, retryable"],
    [{ name: "InternalFailure", status: 500 }, "Unavailable, retryable"],
    [{ name: "SyntaxError", status: 503 }, "Unavailable, retryable"],
    [{ name: "QueueDeletedRecently", status: 400 }, "Unavailable, retryable"],
    [{ name: "SyntaxError", status: 502 }, "Unknown, retryable"],
    [{ name: "SyntaxError", status: 504 }, "Unknown, retryable"],
    [{ name: "SyntaxError", status: 200 }, "Unknown, retryable"],
    [{ name: "TimeoutError", code: "ETIMEDOUT" }, "Unknown, retryable"],
    [{ name: "TimeoutError", code: "ECONNRESET", message: "socket hang up" }, "Unknown, retryable"],
    [{ name: "TimeoutError", code: "EPIPE" }, "Unknown, retryable"],
    [{ name: "RequestTimeoutException", status: 408 }, "Unknown, retryable"],
    [{ name: "AbortError" }, "Unknown, retryable"],
    [{ name: "Error" }, "Unknown, retryable"],
    [{ name: "BatchRequestTooLong", status: 400 }, "Invalid"],
    [{ name: "InvalidMessageContents", status: 400 }, "Invalid"],
    [{ name: "PurgeQueueInProgress", status: 403 }, "Invalid"],
    [{ name: "KmsDisabled", status: 400 }, "Invalid"],
    [{ name: "KMS.NotFoundException", status: 400 }, "Invalid"],
    [{ name: "Unheard", status: 400 }, "Invalid"],
    [{ name: "Unheard", status: 307 }, "Invalid"]
  ]
  for (const [rest, expected] of table) assert.equal(verdict(rest), expected, JSON.stringify(rest))
})

test("only a send can end with an unknown outcome; other calls can simply be repeated", () => {
  const anyFacts = fc.record({
    name: fc.string(),
    code: fc.constantFrom("", "ETIMEDOUT", "ECONNRESET", "ECONNREFUSED"),
    status: fc.integer({ min: 0, max: 599 }),
    message: fc.string()
  })
  fc.assert(fc.property(anyFacts, given => assert.notEqual(classify(given, false).reason, "Unknown")))
  assert.equal(verdict({ name: "TimeoutError", code: "ETIMEDOUT" }, false), "Unavailable, retryable")
})

test("what a refused entry means; unknown codes by whose fault it is", () => {
  assert.equal(classifyEntry("InvalidMessageContents", true).reason, "Invalid")
  assert.equal(classifyEntry("AWS.SimpleQueueService.InternalError", false).reason, "Unavailable")
  assert.equal(classifyEntry("RequestThrottled", false).reason, "Throttled")
  assert.equal(classifyEntry("Unheard", true).reason, "Invalid")
  assert.equal(classifyEntry("Unheard", false).reason, "Unavailable")
})

test("facts can be had of anything thrown", () => {
  fc.assert(
    fc.property(fc.anything(), thrown => {
      const { name, code, status, message } = factsOf(thrown)
      assert.ok(name !== "" && typeof code === "string" && typeof message === "string")
      assert.ok(Number.isInteger(status) || Number.isFinite(status))
    })
  )
})

test("no error repeats the signed request", () => {
  const message = "The request signature does not match.\nThe Canonical String was: x-amz-security-token:TOPSECRET"
  const thrown = Object.assign(new Error(message), { name: "SignatureDoesNotMatch", $response: { token: "TOPSECRET" } })
  const error = errorOf("orders", "SendMessageBatch", factsOf(thrown), classify(factsOf(thrown), true))
  assert.equal(error.reason, "AccessDenied")
  assert.match(error.message, /SendMessageBatch on orders: SignatureDoesNotMatch: The request signature/)
  assert.doesNotMatch(JSON.stringify(error) + error.message + String(error.stack), /TOPSECRET/)
})
