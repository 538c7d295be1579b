import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { duration, palette, picture } from "../../../src/cli/status/picture.ts"
import { decode, type StatusPage } from "../../../src/cli/status/StatusPage.ts"
import { events, type ServerSentEvent } from "../../../src/cli/status/serverSentEvents.ts"
import { sentence } from "../../../src/cli/status/watch.ts"

const now = 1_700_000_000_000
const none = { count: 0, p50: 0, p99: 0, max: 0 }

const page: StatusPage = {
  instance: "host-1",
  startedAt: now - 3_725_000,
  health: { readiness: "degraded", reasons: ["Kafka connection default: circuit breaker open: \u001b[31mrefused"] },
  accounting: {
    accepted: 1_234_567,
    delivered: 1_234_000,
    diverted: 500,
    divertedUnknown: 3,
    spooled: 10,
    rejected: 50,
    failed: 0,
    inMemory: 7,
    redelivered: 100,
    deadLettered: 2
  },
  connections: [
    {
      connection: "default",
      breaker: {
        state: "open",
        reason: "refused",
        since: now - 61_000,
        nextProbeAt: now + 4000,
        partitions: ["events-1"]
      },
      fallbacks: [
        {
          topic: "events",
          queue: "parked",
          deadLetterQueue: "parked-dlq",
          fault: "",
          writer: { pendingRecords: 7 },
          replay: { redelivered: 100, deadLettered: 2, recordsPerSecond: 1000, runners: 1 },
          depth: { visible: 12, inFlight: 1, delayed: 3 }
        }
      ]
    }
  ],
  spool: {
    path: "/spool.db",
    records: 10,
    bytes: 2048,
    maxBytes: 1_073_741_824,
    oldestAt: now - 90_000,
    unreadable: 0,
    fault: ""
  },
  publishLatency: { delivered: { count: 10, p50: 1.25, p99: 12.5, max: 100 }, diverted: none, spooled: none }
}

describe("the picture of a status", () => {
  it("shows all of it, and acts on no terminal", () => {
    assert.equal(
      picture(page, now),
      `instance    host-1, up 1 h 2 min
readiness   degraded
              Kafka connection default: circuit breaker open:  [31mrefused
records     1,234,567 accepted = 1,234,000 delivered + 500 diverted + 10 spooled + 50 rejected + 0 failed + 7 in memory
            100 replayed, 2 dead letters; 3 of the diverted may be in Kafka as well
breakers    default  open for 1 min 1 s, next probe in 4 s: refused
              diverted partitions: events-1
queues      events to parked  12 messages, 3 delayed, 1 in flight; 7 records on their way into it
              replay: 100 records so far, up to 1,000/s; dead letters: 2 into parked-dlq
spool       /spool.db  10 records, 2.0 KiB of 1.0 GiB, oldest 1 min 30 s
latency     delivered  p50 1.3 ms, p99 13 ms, max 100 ms  (10 records)
`
    )
  })

  it("says when the law is broken, and what is not known", () => {
    const [connection] = page.connections
    const [fallback] = connection?.fallbacks ?? []
    assert.ok(connection && fallback)
    const { depth: _, ...unknown } = fallback
    const { spool: __, ...without } = page
    const other = picture(
      {
        ...without,
        accounting: { ...page.accounting, accepted: 1_234_570 },
        connections: [
          {
            ...connection,
            breaker: { ...connection.breaker, forced: "open" },
            fallbacks: [{ ...unknown, fault: "gone", replay: { ...fallback.replay, runners: 0 } }]
          }
        ]
      },
      now
    )
    assert.match(other, /does not add up: 3 records are unaccounted for/)
    assert.match(other, /depth not known/)
    assert.match(other, /^ {14}gone$/m)
    assert.match(other, /not by this instance/)
    assert.doesNotMatch(other, /^spool|next probe/m)
    assert.ok(picture(page, now, palette(true)).includes("\u001b[33mdegraded\u001b[0m"))
  })

  it("reads newer services and nothing else", () => {
    assert.deepEqual(decode({ ...page, more: 1 }), page)
    assert.throws(() => decode({ status: "alive" }))
    assert.throws(() => decode(null))
  })

  it("rounds time to its two largest units", () => {
    assert.deepEqual([-5, 999, 59_400, 3_599_000, 90_000_000, 200_000_000].map(duration), [
      "0 s",
      "1 s",
      "59 s",
      "59 min 59 s",
      "1 d 1 h",
      "2 d 7 h"
    ])
  })
})

describe("server-sent events", () => {
  const read = async (...pieces: ReadonlyArray<string>) => {
    const body = new ReadableStream<Uint8Array>({
      start: controller => {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
        controller.close()
      }
    })
    const found: Array<ServerSentEvent> = []
    for await (const event of events(body)) found.push(event)
    return found
  }

  it("are read however they are cut; comments, and what is cut off, are none", async () => {
    const text = ": hello\n\nid: 1\nevent: breaker\ndata: é\n\nretry: 1\n\ndata:a\ndata: b\r\n\r\ndata: cut"
    const expected = [
      { id: "1", name: "breaker", data: "é" },
      { id: "", name: "message", data: "a\nb" }
    ]
    assert.deepEqual(await read(text), expected)
    assert.deepEqual(await read(...text), expected)
  })

  it("become one line of text", () => {
    const at = "2023-11-14T22:13:20.000Z"
    const breaker = { at: now, connection: "default", scope: "cluster", state: "open", reason: "a\u001bb" }
    assert.equal(
      sentence({ id: "1", name: "breaker", data: JSON.stringify(breaker) }),
      `${at}  circuit breaker of default (cluster): open: a b`
    )
    const readiness = { at: now, readiness: "accepting", reasons: [] }
    assert.equal(
      sentence({ id: "1", name: "readiness", data: JSON.stringify(readiness) }),
      `${at}  readiness: accepting`
    )
  })
})
