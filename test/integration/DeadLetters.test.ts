import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { DeadLetterRun, foreign, kinds, recordsOf, topic } from "../support/DeadLetterRun.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import * as Kafka from "../support/Kafka.ts"
import type { KafkaCluster } from "../support/KafkaCluster.ts"

const each = 40
const keys = 7

describe("dead letters on a real queue and a real Kafka", () => {
  let cluster: KafkaCluster
  let sqs: Fauxqs.Fauxqs
  let letters: DeadLetterRun

  before(async () => {
    ;[cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: topic, partitions: 3 }] }),
      Fauxqs.start({ persistent: false })
    ])
    letters = new DeadLetterRun({ cluster, endpoint: sqs.endpoint, each, keys, visibility: "2s" })
  })
  after(async () => {
    letters.stop()
    await Promise.all([cluster.stop(), sqs.stop()])
  })

  it("creates the queues that are missing, and says how those that are there differ", async () => {
    sqs.createQueue("parked-dlq", { MessageRetentionPeriod: "3600" })
    const { queues: planned } = await letters.json(1, "queues", "create", "--dry-run")
    assert.deepEqual(Array.isArray(planned) ? planned.map(({ queue, state }) => [queue, state]) : [], [
      ["parked-dlq", "exists"],
      ["parked", "missing"]
    ])
    assert.equal(sqs.server().inspectQueue("parked"), undefined)
    const { code, stdout } = await letters.run("queues", "create")
    assert.equal(code, 1)
    assert.match(stdout, /^parked-dlq: is there \(dead-letter queue of events\)$/m)
    assert.match(stdout, /^ {2}MessageRetentionPeriod is 3600, should be 1209600: SQS deletes dead letters/m)
    assert.match(stdout, /^parked: created \(fallback queue of events\)$/m)
    assert.match(sqs.server().inspectQueue("parked")?.attributes.RedrivePolicy ?? "", /parked-dlq/)
  })

  it("lists, shows, redrives, and loses nothing when it is killed", async () => {
    await letters.fill()
    const total = (await letters.messages("parked-dlq")).length
    const { queues } = await letters.json(0, "dlq", "ls")
    const [{ groups, ...summary }] = Array.isArray(queues) ? queues : []
    assert.deepEqual([summary.messages, summary.records, summary.unreadable], [total, each * 4, each])
    const counts = groups.map(({ messages, reason, records }: Record<string, unknown>) => [
      reason,
      reason === foreign ? messages : records
    ])
    assert.deepEqual(new Map(counts), new Map([...kinds, foreign].map(reason => [reason, each])))
    assert.equal((await letters.messages("parked-dlq")).hidden, 0)

    const peek = ["dlq", "peek", "--reason", "MAX_ATTEMPTS", "--limit", "1"]
    const { records: shown } = await letters.json(0, ...peek)
    const [record] = Array.isArray(shown) ? shown : []
    assert.match(record.value, /^MAX_ATTEMPTS \d+$/)
    assert.deepEqual(
      [record.attempts, record.reason, record.lastError, record.origin],
      [7, "MAX_ATTEMPTS", "Permanent:MAX_ATTEMPTS", "host-that-died"]
    )

    // No daemon yet: what was redriven lies in the fallback queue as it is.
    const done = await letters.json(0, "dlq", "redrive", "--reason", "INVALID_RECORD", "--rate", "500")
    assert.deepEqual([done.records, done.failed, done.twice, done.complete], [each, 0, 0, true])
    const parked = await letters.parked()
    for (const { attempts, lastError, origin } of parked.flat()) {
      assert.deepEqual([attempts, lastError, origin], [1, "Permanent:INVALID_RECORD", "host-that-died"])
    }
    for (let key = 0; key < keys; key++) {
      const own = parked
        .map(recordsOf)
        .map(records => records.filter(record => Buffer.from(record.key ?? []).toString() === `key-${key}`))
        .filter(({ length }) => length > 0)
      assert.equal(own.length, 1, `key-${key} in one message`)
    }
    let still: ReadonlySet<string> = new Set()
    await letters.withDaemon(async () => {
      const killed = letters.spawn("dlq", "redrive", "--reason", "MAX_ATTEMPTS", "--rate", "20")
      const begun = (await letters.messages("parked-dlq")).length
      await eventually(
        "the middle",
        20_000,
        async () => ((await letters.messages("parked-dlq")).length < begun - each / 6 ? true : undefined),
        { everyMs: 5 }
      )
      await killed.end("SIGKILL")
      const left = await letters.messages("parked-dlq")
      assert.ok(left.length > begun - each / 3)
      still = await letters.left("MAX_ATTEMPTS")
      // What it held is hidden for the visibility timeout, and then there again.
      assert.ok(left.hidden > 0)
      await eventually("what it held", 10_000, async () => {
        const { messages } = sqs.server().inspectQueue("parked-dlq") ?? {}
        const hidden = messages?.inflight.some(({ visibilityDeadline }) => visibilityDeadline > Date.now())
        return hidden === false ? true : undefined
      })
      const purged = await letters.json(0, "dlq", "purge", "--reason", foreign, "--yes")
      assert.equal(purged.messages, each)
      const again = await letters.json(0, "dlq", "redrive", "--reason", "MAX_ATTEMPTS")
      assert.deepEqual([again.failed, again.twice, again.complete], [0, 0, true])
    })
    const { INVALID_RECORD: whole, MAX_ATTEMPTS: killed } = await letters.arrived()
    assert.deepEqual(killed.ids, letters.ids("MAX_ATTEMPTS"))
    // Stored anew when it was killed, and not deleted yet: no others.
    for (const id of killed.duplicates) assert.ok(still.has(id), id)
    assert.deepEqual(whole.ids, letters.ids("INVALID_RECORD"))
    assert.deepEqual([whole.duplicates, whole.disordered], [[], 0])
  })

  it("hands everything back on SIGTERM", async () => {
    const slow = letters.spawn("dlq", "redrive", "--reason", "MESSAGE_TOO_LARGE", "--rate", "1")
    await eventually("the look", 20_000, async () => ((await letters.messages("parked")).length > 0 ? true : undefined))
    const { code, stderr } = await slow.end("SIGTERM")
    assert.equal(code, 143)
    assert.match(stderr, /^interrupted: \d+ records redriven, the rest is handed back$/m)
    const left = await letters.messages("parked-dlq")
    assert.deepEqual([left.length > 0, left.hidden], [true, 0])
  })

  it("refuses what it is not told exactly, with 64", async () => {
    const unsure = await letters.run("dlq", "purge")
    assert.deepEqual([unsure.code, unsure.stdout], [64, ""])
    assert.match(unsure.stderr, /--yes/)
    const unknown = await letters.run("dlq", "ls", "--producer", "nobody")
    assert.deepEqual([unknown.code, unknown.stdout], [64, ""])
    assert.match(unknown.stderr, /there are: events/)
  })
})
