import assert from "node:assert/strict"
import { test } from "node:test"
import { compare } from "../../scripts/quickstart/account.ts"

test("a published record that is in neither place is lost", () => {
  const answers = new Map([
    ["a", { fate: "delivered" }],
    ["b", { fate: "diverted" }],
    ["c", { fate: "diverted" }]
  ] as const)
  const { deadLettered, inKafka, lost } = compare(answers, ["a"], new Set(["c"]))
  assert.deepEqual(lost, ["b"])
  assert.equal(inKafka, 1)
  assert.equal(deadLettered, 1)
})

test("a copy beyond the first is a duplicate and loses nothing", () => {
  const found = compare(new Map([["a", { fate: "diverted" }]] as const), ["a", "a", "a"], new Set())
  assert.equal(found.duplicated, 2)
  assert.equal(found.inKafka, 1)
  assert.deepEqual(found.lost, [])
})

test("a refused or rejected record is never lost, and told apart when it is in Kafka all the same", () => {
  const answers = new Map([
    ["a", { fate: "refused" }],
    ["b", { fate: "rejected" }],
    ["c", { fate: "refused" }]
  ] as const)
  const found = compare(answers, ["c"], new Set())
  assert.deepEqual(found.lost, [])
  assert.equal(found.unanswered, 1)
  assert.equal(found.inKafka, 0)
})
