import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import type { AnswerStream } from "../../src/http/Answer.ts"
import { mostUnread } from "../../src/http/Answer.ts"
import * as StatusEvents from "../../src/http/StatusEvents.ts"
import { streamBody } from "../../src/http/streamBody.ts"
import type { Status } from "../../src/Spillway.ts"
import { harness } from "../support/doubles.ts"
import { eventually } from "../support/eventually.ts"
import { serving } from "./serving.ts"

interface Event {
  readonly id: string
  readonly name: string
  readonly data: string
}

const parse = (text: string): ReadonlyArray<Event> =>
  text
    .split("\n\n")
    .filter(part => part !== "")
    .map(part => {
      const fields = new Map(
        part.split("\n").map(line => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)])
      )
      return { id: fields.get("id") ?? "", name: fields.get("event") ?? "", data: fields.get("data") ?? "" }
    })

/** Opens a stream like a server whose client reads everything. */
const open = (stream: AnswerStream | undefined) => {
  assert.ok(stream)
  let text = ""
  let ended = false
  const stop = stream.start({
    write: more => {
      text += more
      return true
    },
    end: () => {
      ended = true
      stop()
    }
  })
  return {
    events: () => parse(text),
    named: (name: string) => parse(text).filter(event => event.name === name),
    ended: () => ended,
    stop
  }
}

/** A source whose breaker and readiness a test changes. */
const source = (status: Status) => {
  let readiness = status.health.readiness
  let listener: Parameters<StatusEvents.Options["spillway"]["onBreakerChange"]>[0] = () => {}
  let asked = 0
  return {
    spillway: {
      status: (): Status => {
        asked++
        return { ...status, health: { readiness, reasons: readiness === "accepting" ? [] : ["a reason"] } }
      },
      onBreakerChange: (to: typeof listener) => {
        listener = to
      }
    },
    asked: () => asked,
    become: (next: typeof readiness) => {
      readiness = next
    },
    change: (scope: string, state: "open" | "closed") => listener("default", scope, state, "why")
  }
}

const withStatus = (use: (status: Status) => Promise<void>) =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(harness(), ({ spillway }) => Effect.promise(() => use(spillway.status()))))
  )

/** So long that only changes bring a status. */
const never = 1_000_000

describe("a stream of status events", () => {
  it("has the status at once and then again and again", () =>
    withStatus(async status => {
      const { spillway } = source(status)
      const events = StatusEvents.make({ spillway, everyMs: 5 })
      const one = open(events.stream(null))
      assert.deepEqual(JSON.parse(one.events()[0]?.data ?? ""), JSON.parse(JSON.stringify(spillway.status())))
      await eventually("a third status", 5000, () => (one.named("status").length >= 3 ? true : undefined))
      events.end()
      assert.equal(one.ended(), true)
    }))

  it("has each change of a breaker and of readiness, before the status that shows it", () =>
    withStatus(async status => {
      const { become, change, spillway } = source(status)
      become("accepting")
      const events = StatusEvents.make({ spillway, everyMs: never })
      const one = open(events.stream(null))
      become("degraded")
      change("cluster", "open")
      change("events-1", "open")
      await eventually("the changes", 5000, () => (one.named("status").length === 2 ? true : undefined))
      assert.deepEqual(
        one.events().map(({ name }) => name),
        ["status", "breaker", "breaker", "readiness", "status"]
      )
      const [first, second] = one.named("breaker")
      const { at, ...change1 } = JSON.parse(first?.data ?? "")
      assert.ok(Math.abs(Date.now() - at) < 60_000)
      assert.deepEqual(change1, { connection: "default", scope: "cluster", state: "open", reason: "why" })
      assert.equal(JSON.parse(second?.data ?? "").scope, "events-1")
      const { at: _, ...readiness } = JSON.parse(one.named("readiness")[0]?.data ?? "")
      assert.deepEqual(readiness, { readiness: "degraded", reasons: ["a reason"] })
      assert.equal(new Set(one.events().map(({ id }) => id)).size, 4, "the last status has the id of the last change")
      one.stop()
    }))

  it("goes on behind the last event a client had, as far as changes are kept", () =>
    withStatus(async status => {
      const { change, spillway } = source(status)
      const events = StatusEvents.make({ spillway, everyMs: never })
      const before = open(events.stream(null))
      const lastId = before.events().at(-1)?.id ?? ""
      before.stop()
      change("a-0", "open")
      change("a-0", "closed")
      const scopes = (id: string | null) => {
        const again = open(events.stream(id))
        again.stop()
        return again.named("breaker").map(({ data }) => JSON.parse(data).state)
      }
      assert.deepEqual(scopes(lastId), ["open", "closed"])
      assert.deepEqual(scopes(lastId.replace(/-\d+$/, "-1")), ["closed"])
      assert.deepEqual(scopes(lastId.replace(/-\d+$/, "-999")), [])
      assert.deepEqual(scopes(null), [], "a new client begins with the present")
      assert.deepEqual(scopes("1234abcd-2"), ["open", "closed"], "of another run: everything that is kept")
      for (let i = 0; i < 300; i++) change("b-0", "open")
      assert.equal(scopes(lastId).length, 256)
    }))

  it("is one of 32, and none is written for once it is over", () =>
    withStatus(async status => {
      const { asked, change, spillway } = source(status)
      const events = StatusEvents.make({ spillway, everyMs: 5 })
      const all = Array.from({ length: 32 }, () => open(events.stream(null)))
      assert.equal(events.stream(null), undefined)
      all[0]?.stop()
      open(events.stream(null)).stop()
      for (const one of all) one.stop()
      const last = open(events.stream(null))
      last.stop()
      const statuses = asked()
      change("cluster", "open")
      await eventually("a look at the change", 5000, () => (asked() > statuses ? true : undefined))
      assert.equal(last.named("breaker").length, 0)
    }))
})

describe("a stream as a web body", () => {
  const chunk = "x".repeat(1000)

  it("is dropped, and told so once, when nobody reads it", async () => {
    let stops = 0
    let written = 0
    const body = streamBody({
      start: sink => {
        while (sink.write(chunk)) written += chunk.length
        assert.equal(sink.write(chunk), false)
        sink.end()
        return () => {
          stops++
        }
      }
    })
    assert.ok(written >= mostUnread && written < mostUnread + chunk.length, `${written} bytes were kept`)
    assert.equal(stops, 1)
    await assert.rejects(body.getReader().read(), /does not read/)
  })

  it("is told when the reader goes, and ends when it is ended", async () => {
    let stops = 0
    const started: AnswerStream = {
      start: sink => {
        sink.write("a")
        setImmediate(() => sink.end())
        return () => {
          stops++
        }
      }
    }
    await streamBody(started).cancel()
    assert.equal(stops, 1)
    assert.equal(await new Response(streamBody(started)).text(), "a")
    assert.equal(stops, 2)
  })
})

describe("GET /v1/status/events", () => {
  it("streams until the service ends, and asks for the token", () =>
    serving({ token: "s3cret" }, async ({ ask, handler, spillway }) => {
      assert.equal((await ask("/v1/status/events")).status, 401)
      const headers = { authorization: "Bearer s3cret" }
      const post = await ask("/v1/status/events", { method: "POST", headers })
      assert.equal(post.status, 405)
      assert.equal(post.headers.get("allow"), "GET")
      const response = await handler.fetch(new Request("http://localhost/v1/status/events", { headers }))
      assert.equal(response.status, 200)
      assert.equal(response.headers.get("content-type"), "text/event-stream")
      const text = response.text()
      spillway.forceBreaker("default", "open")
      await Effect.runPromise(spillway.shutdown(1000))
      handler.endStreams()
      const events = parse(await text)
      assert.ok(events.some(({ data, name }) => name === "breaker" && data.includes("forced open by an operator")))
      const { readiness, reasons } = JSON.parse(events.at(-1)?.data ?? "").health
      assert.equal(readiness, "refusing")
      assert.equal(reasons[0], "shutting down")
    }))
})
