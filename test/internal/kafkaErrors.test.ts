import assert from "node:assert/strict"
import { test } from "node:test"
import * as KafkaErrors from "../../src/internal/kafkaErrors.ts"
import type { FailureClass } from "../../src/KafkaClient.ts"

const codes = Array.from({ length: 132 }, (_, index) => index - 1).filter(code => code !== 0 && code !== 46)

test("every code maps; what nobody knows is Availability and may be tried again", () => {
  for (const code of [...codes, 5000, -77]) {
    const error = KafkaErrors.fromCode(code)
    assert.match(error.class, /^(Availability|Permanent|Unknown)$/)
    assert.match(error.reason, /^[A-Z_0-9-]+$/)
    assert.ok(error.message.length > 0)
    if (KafkaErrors.byCode.has(code)) continue
    assert.deepEqual([error.class, error.reason, error.retryable], ["Availability", `ERROR_${code}`, true])
  }
  assert.equal(KafkaErrors.byCode.has(0), false)
  assert.equal(KafkaErrors.byCode.has(KafkaErrors.duplicateSequence), false)
})

test("what each code means for a record", () => {
  const table: ReadonlyArray<readonly [number, string, FailureClass, boolean]> = [
    [-1, "UNKNOWN_SERVER_ERROR", "Unknown", false],
    [2, "CORRUPT_MESSAGE", "Availability", true],
    [3, "UNKNOWN_TOPIC_OR_PARTITION", "Permanent", true],
    [5, "LEADER_NOT_AVAILABLE", "Availability", true],
    [6, "NOT_LEADER_OR_FOLLOWER", "Availability", true],
    [7, "REQUEST_TIMED_OUT", "Unknown", false],
    [10, "MESSAGE_TOO_LARGE", "Permanent", false],
    [13, "NETWORK_EXCEPTION", "Unknown", false],
    [17, "INVALID_TOPIC_EXCEPTION", "Permanent", false],
    [18, "RECORD_LIST_TOO_LARGE", "Permanent", false],
    [19, "NOT_ENOUGH_REPLICAS", "Availability", true],
    [20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "Unknown", false],
    [29, "TOPIC_AUTHORIZATION_FAILED", "Permanent", false],
    [32, "INVALID_TIMESTAMP", "Permanent", false],
    [45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "Availability", true],
    [47, "INVALID_PRODUCER_EPOCH", "Availability", true],
    [56, "KAFKA_STORAGE_ERROR", "Availability", true],
    [58, "SASL_AUTHENTICATION_FAILED", "Availability", false],
    [59, "UNKNOWN_PRODUCER_ID", "Availability", true],
    [87, "INVALID_RECORD", "Permanent", false],
    [89, "THROTTLING_QUOTA_EXCEEDED", "Availability", true],
    [90, "PRODUCER_FENCED", "Availability", true]
  ]
  for (const [code, ...wanted] of table) {
    const error = KafkaErrors.fromCode(code)
    assert.deepEqual([error.reason, error.class, error.retryable], wanted)
  }
})

test("an unknown fate may be tried again only where a second copy is recognised", () => {
  for (const code of codes) {
    const plain = KafkaErrors.fromCode(code)
    const idempotent = KafkaErrors.fromCode(code, { idempotent: true })
    if (plain.class === "Unknown") assert.deepEqual([plain.retryable, idempotent.retryable], [false, true])
    else assert.equal(plain.retryable, idempotent.retryable)
  }
})

test("what the leader had written is unknown, unless it is the record's own fault", () => {
  for (const code of codes) {
    const plain = KafkaErrors.fromCode(code)
    const appended = KafkaErrors.fromCode(code, { appended: true })
    assert.equal(appended.class, plain.class === "Availability" ? "Unknown" : plain.class)
    if (appended.class !== "Unknown") continue
    assert.equal(appended.retryable, false)
    assert.equal(KafkaErrors.fromCode(code, { appended: true, idempotent: true }).retryable, true)
  }
})

test("the broker's own words and the culprits it names are kept", () => {
  const error = KafkaErrors.fromCode(87, { message: "no key", culprits: [2, 5] })
  assert.equal(error.message, "no key")
  assert.deepEqual(error.culprits, [2, 5])
  assert.equal(KafkaErrors.fromCode(87, { message: null }).message, "Kafka answered INVALID_RECORD (87)")
  assert.equal("culprits" in KafkaErrors.fromCode(87), false)
})

test("only the sequence errors ask for a new epoch", () => {
  assert.deepEqual(codes.filter(KafkaErrors.asksForNewEpoch), [45, 47, 59, 90])
})

const thrown = (members: object, written = false, idempotent = false) => {
  const error = KafkaErrors.fromThrown(Object.assign(new Error("it broke"), members), written, idempotent)
  return [error.class, error.reason, error.retryable]
}

test("connection errors by their code, in the message too, whatever kafkajs says about retrying", () => {
  const byCode: ReadonlyArray<readonly [string, string]> = [
    ["ECONNREFUSED", "CONNECTION_REFUSED"],
    ["ENOTFOUND", "HOST_NOT_FOUND"],
    ["EAI_AGAIN", "HOST_NOT_FOUND"],
    ["ETIMEDOUT", "CONNECTION_TIMEOUT"],
    ["EHOSTUNREACH", "HOST_UNREACHABLE"],
    ["ENETUNREACH", "HOST_UNREACHABLE"],
    ["ECONNRESET", "CONNECTION_CLOSED"],
    ["EPIPE", "CONNECTION_CLOSED"]
  ]
  for (const [code, reason] of byCode) {
    assert.deepEqual(thrown({ code, retriable: false }), ["Availability", reason, true])
    assert.deepEqual(thrown({ message: `connect ${code} 127.0.0.1:9` }), ["Availability", reason, true])
  }
  assert.deepEqual(thrown({ message: "Connection timeout" }), ["Availability", "CONNECTION_TIMEOUT", true])
  assert.deepEqual(thrown({ message: "Request Produce timed out" }), ["Availability", "CONNECTION_TIMEOUT", true])
  assert.deepEqual(thrown({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" }), ["Availability", "TLS_FAILED", true])
  assert.deepEqual(thrown({ message: "unable to verify the first certificate" }), ["Availability", "TLS_FAILED", true])
  assert.deepEqual(thrown({}), ["Availability", "CONNECTION_CLOSED", true])
})

test("once bytes have left, a broken connection leaves the fate unknown", () => {
  assert.deepEqual(thrown({ code: "ECONNRESET" }, true), ["Unknown", "CONNECTION_CLOSED", false])
  assert.deepEqual(thrown({ code: "ECONNRESET" }, true, true), ["Unknown", "CONNECTION_CLOSED", true])
})

test("a refused login is not tried again", () => {
  const wanted = ["Availability", "AUTHENTICATION_FAILED", false]
  assert.deepEqual(thrown({ name: "KafkaJSSASLAuthenticationError" }), wanted)
  assert.deepEqual(thrown({ type: "SASL_AUTHENTICATION_FAILED" }), wanted)
})

test("things that are no errors can be thrown too", () => {
  for (const cause of [undefined, null, "text", 7, {}]) {
    assert.equal(KafkaErrors.fromThrown(cause, false, false).class, "Availability")
  }
})

test("no answer in time is unknown only once bytes have left", () => {
  const of = (written: boolean, idempotent: boolean) => {
    const error = KafkaErrors.attemptTimeout(written, idempotent, 250)
    return [error.class, error.retryable]
  }
  assert.deepEqual(of(false, false), ["Availability", true])
  assert.deepEqual(of(true, false), ["Unknown", false])
  assert.deepEqual(of(true, true), ["Unknown", true])
  assert.match(KafkaErrors.attemptTimeout(true, true, 250).message, /250 ms/)
  assert.deepEqual([KafkaErrors.unanswered(false).class, KafkaErrors.unanswered(false).retryable], ["Unknown", false])
  assert.equal(KafkaErrors.unanswered(true).retryable, true)
  assert.deepEqual([KafkaErrors.noLeader("t", 1).class, KafkaErrors.noLeader("t", 1).retryable], ["Availability", true])
})
