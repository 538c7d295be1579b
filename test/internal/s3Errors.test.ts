import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { classify, corruptObject, errorOf } from "../../src/internal/s3Errors.ts"

const facts = (name: string, status = 0, code = "") => ({ name, code, status, message: "said so" })

describe("s3Errors", () => {
  const table: ReadonlyArray<readonly [string, number, string]> = [
    ["NoSuchKey", 404, "NotFound"],
    ["NoSuchBucket", 404, "NoBucket"],
    ["PermanentRedirect", 301, "NoBucket"],
    ["AccessDenied", 403, "AccessDenied"],
    ["AccessDeniedException", 403, "AccessDenied"],
    ["InvalidAccessKeyId", 403, "AccessDenied"],
    ["SignatureDoesNotMatch", 403, "AccessDenied"],
    ["ExpiredToken", 400, "AccessDenied, retryable"],
    ["RequestTimeTooSkewed", 403, "AccessDenied, retryable"],
    ["CredentialsProviderError", 0, "AccessDenied, retryable"],
    ["SlowDown", 503, "Throttled, retryable"],
    ["ThrottlingException", 400, "Throttled, retryable"],
    ["InternalError", 200, "Unavailable, retryable"],
    ["InternalError", 500, "Unavailable, retryable"],
    ["ServiceUnavailable", 503, "Unavailable, retryable"],
    ["RequestTimeout", 400, "Unavailable, retryable"],
    ["TimeoutError", 0, "Unavailable, retryable"],
    ["NoSuchUpload", 404, "Unavailable, retryable"],
    ["InvalidPart", 400, "Unavailable, retryable"],
    ["BadDigest", 400, "Corrupt, retryable"],
    ["XAmzContentSHA256Mismatch", 400, "Corrupt, retryable"],
    ["InvalidRange", 416, "Corrupt, retryable"],
    ["EntityTooLarge", 400, "Invalid"],
    ["KeyTooLongError", 400, "Invalid"],
    // Names nobody knows: by what HTTP says.
    ["Unheard", 401, "AccessDenied"],
    ["Unheard", 403, "AccessDenied"],
    ["Unheard", 408, "Unavailable, retryable"],
    ["Unheard", 416, "Corrupt, retryable"],
    ["Unheard", 429, "Throttled, retryable"],
    ["Unheard", 400, "Invalid"],
    ["Unheard", 500, "Unavailable, retryable"],
    ["Unheard", 504, "Unavailable, retryable"],
    // Only S3's own word makes a dead letter of a pointer.
    ["Unheard", 404, "Unavailable, retryable"],
    // No answer at all, or one that could not be read.
    ["Error", 0, "Unavailable, retryable"],
    ["SyntaxError", 200, "Unavailable, retryable"]
  ]
  for (const [name, status, expected] of table) {
    it(`${name} with status ${status} is ${expected}`, () => {
      const { reason, retryable } = classify(facts(name, status))
      assert.equal(retryable ? `${reason}, retryable` : reason, expected)
    })
  }

  it("names store, call and cause, and nothing of the request", () => {
    const error = errorOf("s3://b/p", "GetObject", facts("SlowDown", 503, "ECODE"))
    assert.equal(error.message, "GetObject on s3://b/p: SlowDown: ECODE: said so")
    assert.deepEqual(error.cause, facts("SlowDown", 503, "ECODE"))
    assert.deepEqual([error.reason, error.retryable, error.operation], ["Throttled", true, "GetObject"])
    const corrupt = corruptObject("s3://b/p", "GetObject", "other bytes")
    assert.deepEqual([corrupt.reason, corrupt.retryable], ["Corrupt", true])
  })
})
