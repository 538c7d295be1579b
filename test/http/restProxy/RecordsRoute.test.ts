import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { describe, it } from "node:test"
import type { Answer } from "../../../src/http/Answer.ts"
import * as HttpHandler from "../../../src/http/HttpHandler.ts"
import { ofRequest } from "../../../src/http/RequestHead.ts"
import type { Outcome } from "../../../src/Receipt.ts"
import { PublishError } from "../../../src/Receipt.ts"
import type { ProducerRecord } from "../../../src/Record.ts"
import { eventually } from "../../support/eventually.ts"
import { answerOf, idle, type Serving, serving } from "../serving.ts"

const path = "/v3/clusters/cluster-1/topics/events/records"
const type = { "content-type": "application/json" }
const text = (bytes: Uint8Array | null | undefined) =>
  bytes === null || bytes === undefined ? bytes : new TextDecoder().decode(bytes)

/** With a length, as from a client that knows its whole body. */
const produce = ({ ask }: Serving, body: unknown, headers: Readonly<Record<string, string>> = {}, at = path) => {
  const written = typeof body === "string" ? body : JSON.stringify(body)
  const length = `${Buffer.byteLength(written)}`
  return ask(at, { method: "POST", body: written, headers: { ...type, "content-length": length, ...headers } })
}

/** A request whose body is written as the test goes on, and its answer as it comes. */
const stream = (fetch: HttpHandler.HttpHandler["fetch"]) => {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let wanted = () => {}
  const body = new ReadableStream<Uint8Array>(
    {
      start: given => {
        controller = given
      },
      pull: () => wanted()
    },
    { highWaterMark: 0 }
  )
  const init = { method: "POST", body, headers: type, duplex: "half" as const }
  const answered = fetch(new Request(`http://localhost${path}`, init))
  const write = (chunk: string) => controller?.enqueue(new TextEncoder().encode(chunk))
  return {
    answered,
    write,
    end: () => controller?.close(),
    breakOff: () => controller?.error(new Error("connection reset")),
    /** Resolves when the handler next asks for more of the body. */
    asked: () =>
      new Promise<void>(resolve => {
        wanted = resolve
      })
  }
}

/** The reports of an answer, one after the other. */
async function* reportsOf(response: Response): AsyncGenerator<Readonly<Record<string, unknown>>> {
  let left = ""
  const decoder = new TextDecoder()
  for await (const piece of response.body ?? []) {
    const lines = `${left}${decoder.decode(piece, { stream: true })}`.split("\n")
    left = lines.pop() ?? ""
    for (const line of lines) yield JSON.parse(line)
  }
  if (left !== "") yield JSON.parse(left)
}

const next = async (reports: AsyncGenerator<Readonly<Record<string, unknown>>>) => {
  const { done, value } = await reports.next()
  assert.notEqual(done, true)
  return value ?? {}
}

/** A handler whose records wait for the test to settle them. */
const held = (requestTimeoutMs = 10_000) => {
  const waiting: Array<{ readonly record: ProducerRecord; readonly settle: (outcome: Outcome) => void }> = []
  const handler = HttpHandler.make({
    spillway: { ...idle, offer: (record, settle) => waiting.push({ record, settle }) },
    http: { maxBodyBytes: 1000, requestTimeoutMs }
  })
  return { handler, waiting }
}

const failure = (reason: "Overloaded" | "Closed") => new PublishError({ reason, message: "why" })

describe("produce, API v3: a body of a known length", () => {
  it("takes one record, as in the reference's example", () =>
    serving({}, async serving => {
      const answer = await produce(serving, {
        partition_id: 1,
        headers: [
          { name: "Header-1", value: "SGVhZGVyLTE=" },
          { name: "Header-1", value: null },
          { name: "Header-2", value: "" }
        ],
        key: { type: "BINARY", data: "Zm9vYmFy" },
        value: { type: "JSON", data: { foo: "bar", n: 1 } },
        timestamp: "2021-02-05T19:14:42Z"
      })
      assert.equal(answer.status, 200)
      assert.deepEqual(answer.body, {
        error_code: 200,
        cluster_id: "cluster-1",
        topic_name: "events",
        partition_id: 1,
        offset: 0,
        timestamp: "2021-02-05T19:14:42.000Z",
        key: { type: "BINARY", size: 6 },
        value: { type: "JSON", size: 19 }
      })
      const [stored] = serving.kafka.stored()
      assert.ok(stored)
      assert.equal(text(stored.key), "foobar")
      assert.equal(text(stored.value), '{"foo":"bar","n":1}')
      assert.equal(Number(stored.timestamp), Date.parse("2021-02-05T19:14:42Z"))
      assert.deepEqual(
        stored.headers.slice(1, 4).map(([name, value]) => [name, text(value)]),
        [
          ["Header-1", "Header-1"],
          ["Header-1", null],
          ["Header-2", ""]
        ]
      )
    }))

  it("takes strings, tombstones and nothing at all, also below /kafka", () =>
    serving({}, async serving => {
      const tombstone = await produce(serving, {
        key: { type: "STRING", data: "k" },
        value: { type: "BINARY", data: null }
      })
      assert.equal(tombstone.status, 200)
      assert.match(tombstone.text, /"key":\{"type":"STRING","size":1\},"value":\{"type":"BINARY","size":0\}/)
      assert.equal((await produce(serving, {}, {}, `/kafka${path}`)).status, 200)
      assert.deepEqual(
        serving.kafka.stored().map(({ key, value }) => [text(key), value]),
        [
          ["k", null],
          [null, null]
        ]
      )
    }))

  it("takes many, each with its report in order", () =>
    serving({}, async serving => {
      const bodies = ["a", "b", "c"].map(data => JSON.stringify({ partition_id: 0, value: { type: "STRING", data } }))
      const answer = await produce(serving, bodies.join(" \n"), { "idempotency-key": "k" })
      assert.equal(answer.status, 200)
      const reports = answer.text.split("\n").map(line => JSON.parse(line))
      assert.deepEqual(
        reports.map(({ error_code, offset }) => [error_code, offset]),
        [
          [200, 0],
          [200, 1],
          [200, 2]
        ]
      )
      const ids = serving.kafka
        .stored()
        .map(({ headers }) => text(headers.find(([name]) => name === "spillway-id")?.[1]))
      assert.deepEqual(ids, ["k", "k-1", "k-2"])
    }))

  it("never answers a failure with 200", () =>
    serving({}, async serving => {
      const good = '{"value":{"type":"JSON","data":1}}'
      const bad = '{"value":{"type":"BINARY","data":"?"}}'
      const mixed = await produce(serving, `${good}${bad}${good}`)
      assert.equal(mixed.status, 207)
      assert.deepEqual(
        mixed.text.split("\n").map(line => JSON.parse(line).error_code),
        [200, 42206, 200]
      )
      const broken = await produce(serving, `${good}{"value":`)
      assert.equal(broken.status, 207)
      assert.match(broken.text, /\n\{"error_code":400,"message":"not JSON: the body ends inside an object"\}$/)
      const nowhere = await produce(serving, good, {}, path.replace("events", "nowhere"))
      assert.equal(nowhere.status, 404)
      assert.match(nowhere.text, /^\{"error_code":40401,/)
      const partition = await produce(serving, '{"partition_id":99}')
      assert.equal(partition.status, 404)
      assert.match(partition.text, /^\{"error_code":40402,/)
      serving.kafka.always({ _tag: "Refuse" })
      const diverted = await produce(serving, '{"partition_id":1,"value":{"type":"JSON","data":1}}')
      assert.equal(diverted.status, 202)
      assert.match(
        diverted.text,
        /^\{"error_code":202,"cluster_id":"cluster-1","topic_name":"events","partition_id":1,"offset":null,/
      )
      assert.equal(serving.parked().length, 1)
    }))

  it("says what is wrong with a record", () =>
    serving({}, async serving => {
      for (const [body, status, code, message] of [
        ["", 422, 42206, /Request body is empty/],
        [" \n", 422, 42206, /Request body is empty/],
        ["null", 400, 400, /not JSON: expected an object/],
        ["[{}]", 400, 400, /not JSON: expected an object/],
        ["{]", 400, 400, /not JSON/],
        ['{"a"}', 400, 400, /not JSON/],
        ['{"colour":1}', 422, 42206, /^colour: unknown member/],
        ['{"value":1}', 422, 42206, /^value: expected an object with type and data, got a number/],
        ['{"value":{"data":1}}', 422, 42206, /^value\.type: expected BINARY, JSON, STRING/],
        ['{"value":{"type":"AVRO","data":1}}', 422, 42206, /^value\.type: expected BINARY, JSON, STRING/],
        ['{"value":{"type":"PROTOBUF","data":1}}', 422, 42206, /^value\.type: expected BINARY, JSON, STRING/],
        ['{"value":{"schema_id":1,"data":1}}', 422, 42206, /^value\.schema_id: schemas are not supported here/],
        ['{"value":{"type":"STRING","data":1}}', 422, 42206, /^value\.data: expected a string, got a number/],
        ['{"key":{"type":"BINARY","data":"a?"}}', 422, 42206, /^key\.data: not base64/],
        ['{"headers":{}}', 422, 42206, /^headers: expected an array, got an object/],
        ['{"headers":[{"value":"YQ=="}]}', 422, 42206, /^headers\[0\]\.name: expected a string, got nothing/],
        ['{"headers":[{"name":"a","value":"?"}]}', 422, 42206, /^headers\[0\]\.value: expected base64 or null/],
        ['{"partition_id":"1"}', 422, 42206, /^partition_id: expected a partition number/],
        ['{"timestamp":"yesterday"}', 422, 42206, /^timestamp: expected a date and time/],
        ['{"timestamp":"2021-13-05T19:14:42Z"}', 422, 42206, /^timestamp: expected a date and time/],
        ['{"timestamp":1612552482000}', 422, 42206, /^timestamp: expected a date and time/],
        ['{"timestamp":"1969-12-31T23:59:59Z"}', 422, 42206, /timestamp/]
      ] as const) {
        const answer = await produce(serving, body)
        assert.equal(answer.status, status, body)
        const report = JSON.parse(answer.text)
        assert.equal(report.error_code, code, body)
        assert.match(report.message, message, body)
      }
      const wrong = await produce(serving, "{}", { "content-type": "text/plain" })
      assert.equal(wrong.status, 415)
      assert.match(wrong.text, /^\{"error_code":415,/)
      assert.equal(serving.kafka.stored().length, 0)
    }))

  it("is bounded, and then refused as a whole", () =>
    serving({ http: { maxBatchRecords: 2 } }, async serving => {
      const many = await produce(serving, "{}{}{}")
      assert.equal(many.status, 413)
      assert.match(many.text, /^\{"error_code":413,"message":"more than 2 records/)
      assert.equal(serving.spillway.status().accounting.accepted, 0)
      assert.equal((await produce(serving, "{}{}")).status, 200)
    }))
})

describe("produce, API v3: a body of very many records", () => {
  it("costs no more than each of them: whoever else is served must not wait for it", async () => {
    const { handler, waiting } = held()
    const count = 60_000
    const body = '{"value":null}\n'.repeat(count)
    const statuses: Array<number> = []
    const head = ofRequest(
      new Request(`http://localhost${path}`, { method: "POST", headers: { ...type, "content-length": "1" } })
    )
    const receiver = handler.open(head, ({ status }) => statuses.push(status))
    receiver?.take(Buffer.from(body))
    assert.equal(waiting.length, count)
    const outcome = failure("Overloaded")
    const begun = performance.now()
    for (const { settle } of waiting) settle(outcome)
    const ms = performance.now() - begun
    assert.deepEqual(statuses, [429])
    assert.ok(ms < 2000, `${Math.round(ms)} ms`)
  })
})

describe("produce, API v3: a stream", () => {
  it("reports on each record while more are on their way, in order", () =>
    serving({}, async ({ handler, kafka }) => {
      const sent = stream(handler.fetch)
      sent.write('{"partition_id":0,"value":{"type":"STR')
      sent.write('ING","data":"a}{\\"é"}}')
      const response = await sent.answered
      assert.equal(response.status, 207)
      assert.equal(response.headers.get("content-type"), "application/json")
      const reports = reportsOf(response)
      assert.equal((await next(reports)).offset, 0)
      sent.write('\n{"partition_id":0}{"value":{"type":"BINARY","data":"?"}}{"partition_id":0}')
      assert.equal((await next(reports)).offset, 1)
      assert.equal((await next(reports)).error_code, 42206)
      assert.equal((await next(reports)).offset, 2)
      sent.end()
      assert.equal((await reports.next()).done, true)
      assert.equal(text(kafka.stored()[0]?.value), 'a}{"é')
    }))

  it("that has ended before its first outcome is answered like a body of a known length", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write("{}")
    sent.end()
    await eventually("the record", 5000, () => (waiting.length === 1 ? true : undefined))
    waiting[0]?.settle(failure("Overloaded"))
    const answer = await answerOf(await sent.answered)
    assert.equal(answer.status, 429)
    assert.deepEqual(answer.body, { error_code: 429, message: "why" })
    assert.notEqual(answer.headers.get("retry-after"), null)
  })

  it("keeps the order when outcomes do not", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write('{"partition_id":1}{"partition_id":2}{"partition_id":3}')
    await eventually("the records", 5000, () => (waiting.length === 3 ? true : undefined))
    waiting[2]?.settle(new PublishError({ reason: "UnknownTopic", message: "third" }))
    waiting[1]?.settle(new PublishError({ reason: "UnknownTopic", message: "second" }))
    waiting[0]?.settle(new PublishError({ reason: "UnknownTopic", message: "first" }))
    const reports = reportsOf(await sent.answered)
    for (const message of ["first", "second", "third"]) assert.equal((await next(reports)).message, message)
    sent.end()
    assert.equal((await reports.next()).done, true)
  })

  it("waits while a thousand records have no outcome, and goes on as they get it", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write("{}".repeat(1500))
    await eventually("a full window", 5000, () => (waiting.length >= 1000 ? true : undefined))
    sent.write("{}".repeat(10))
    assert.equal(waiting.length, 1000)
    // The first one holds up the reports of those behind it, so they count.
    for (const { settle } of waiting.slice(1, 400)) settle(failure("Overloaded"))
    assert.equal(waiting.length, 1000)
    waiting[0]?.settle(failure("Overloaded"))
    const reports = reportsOf(await sent.answered)
    assert.equal(waiting.length, 1400)
    for (let at = 400; at < 1510; at++) {
      await eventually("the next record", 5000, () => (waiting.length > at ? true : undefined))
      waiting[at]?.settle(failure("Overloaded"))
    }
    sent.end()
    for (let read = 0; read < 1510; read++) assert.equal((await next(reports)).error_code, 429)
    assert.equal((await reports.next()).done, true)
    assert.equal(waiting.length, 1510)
  })

  it("does not pile up calls when thousands of records are refused at once", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write("{}")
    await eventually("the record", 5000, () => (waiting.length === 1 ? true : undefined))
    sent.write('{"colour":1}'.repeat(8000))
    await eventually("the next piece", 5000, () => (waiting.length === 1 ? true : undefined))
    waiting[0]?.settle(failure("Overloaded"))
    const reports = reportsOf(await sent.answered)
    assert.equal((await next(reports)).error_code, 429)
    for (let read = 0; read < 8000; read++) assert.equal((await next(reports)).error_code, 42206)
    sent.end()
    assert.equal((await reports.next()).done, true)
  })

  it("is taken as a whole from a server that has read it whole", async () => {
    const { handler, waiting } = held()
    const answers: Array<Answer> = []
    const head = ofRequest(new Request(`http://localhost${path}`, { method: "POST", body: "x", headers: type }))
    const receiver = handler.open(head, answer => answers.push(answer))
    receiver?.take(new TextEncoder().encode("{}{}"))
    assert.equal(waiting.length, 2)
    for (const { settle } of waiting) settle(failure("Overloaded"))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [429]
    )
  })

  it("ends with what is no JSON, with a record that is too large, and with a body that breaks off", async () => {
    for (const [rest, code, message] of [
      ["nonsense{}", 400, /expected an object/],
      [
        `{"value":{"type":"STRING","data":"${"x".repeat(2000)}"}}{}`,
        42206,
        /more than http\.max_body_bytes|takes more than/
      ],
      [undefined, 400, /ended before its end/]
    ] as const) {
      const { handler, waiting } = held()
      const sent = stream(handler.fetch)
      sent.write("{}")
      await eventually("the record", 5000, () => (waiting.length === 1 ? true : undefined))
      waiting[0]?.settle(failure("Overloaded"))
      const reports = reportsOf(await sent.answered)
      assert.equal((await next(reports)).error_code, 429)
      if (rest === undefined) sent.breakOff()
      else sent.write(rest)
      const last = await next(reports)
      assert.equal(last.error_code, code)
      assert.match(String(last.message), message)
      assert.equal((await reports.next()).done, true)
      assert.equal(waiting.length, 1)
    }
  })

  it("ends when nothing comes for as long as a request may take, and says which records are not settled", async () => {
    const { handler, waiting } = held(80)
    const sent = stream(handler.fetch)
    sent.write("{}{}")
    await eventually("the records", 5000, () => (waiting.length === 2 ? true : undefined))
    waiting[0]?.settle(failure("Overloaded"))
    const reports = reportsOf(await sent.answered)
    assert.equal((await next(reports)).error_code, 429)
    assert.equal((await next(reports)).error_code, 50003)
    assert.equal((await next(reports)).error_code, 408)
    assert.equal((await reports.next()).done, true)
  })

  it("ends with a shutdown: what is sent after the first refusal is not taken", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write("{}{}")
    await eventually("the records", 5000, () => (waiting.length === 2 ? true : undefined))
    waiting[0]?.settle(failure("Overloaded"))
    const reports = reportsOf(await sent.answered)
    assert.equal((await next(reports)).error_code, 429)
    waiting[1]?.settle(failure("Closed"))
    assert.equal((await next(reports)).error_code, 50003)
    assert.equal((await reports.next()).done, true)
    sent.write("{}")
    assert.equal(waiting.length, 2)
  })

  it("takes nothing further once nobody reads the reports", async () => {
    const { handler, waiting } = held()
    const sent = stream(handler.fetch)
    sent.write("{}")
    await eventually("the record", 5000, () => (waiting.length === 1 ? true : undefined))
    waiting[0]?.settle(failure("Overloaded"))
    const response = await sent.answered
    const reader = response.body?.getReader()
    await reader?.read()
    sent.write("{}")
    await eventually("the second record", 5000, () => (waiting.length === 2 ? true : undefined))
    const cancelled = reader?.cancel()
    waiting[1]?.settle(failure("Overloaded"))
    await cancelled
    const asked = sent.asked()
    sent.write("{}{}{}")
    await asked
    assert.equal(waiting.length, 2)
  })
})
