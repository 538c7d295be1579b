import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as StatusHistory from "../../src/http/StatusHistory.ts"
import type { Status } from "../../src/Spillway.ts"
import { serving } from "./serving.ts"

/** The status with so many messages in its fallback queue; undefined: it could not be asked. */
const parked = (status: Status, visible: number | undefined): Status => ({
  ...status,
  connections: status.connections.map(connection => ({
    ...connection,
    fallbacks: connection.fallbacks.map(fallback => ({
      ...fallback,
      depth: visible === undefined ? undefined : { visible, inFlight: 1, delayed: 0 }
    }))
  }))
})

describe("StatusHistory", () => {
  it("keeps the last five minutes and the bounds of its latencies", () =>
    serving({}, async ({ post, spillway }) => {
      const history = StatusHistory.make()
      assert.equal((await post("{}")).status, 201)
      for (let second = 0; second < 400; second++) history.add(spillway.status(), second * 1000)
      const { bounds, samples, startedAt } = history.read()
      assert.equal(samples.length, 305)
      assert.equal(samples.at(-1)?.at, 399_000)
      assert.equal(startedAt, spillway.status().startedAt)
      assert.equal(samples[0]?.latency.length, bounds.length + 1)
      assert.equal(samples[0]?.latency.at(-1), 1)
      assert.equal(samples[0]?.totals.delivered, 1)
      assert.equal(samples[0]?.diverting, false)
    }))

  it("tells since when the queues have not been empty, also over moments when they could not be asked", () =>
    serving({}, async ({ spillway }) => {
      const history = StatusHistory.make()
      const after = (visible: number | undefined, at: number) => {
        history.add(parked(spillway.status(), visible), at)
        return history.read().parkedSince
      }
      const none = { ...spillway.status(), connections: [] }
      history.add(none, 1000)
      assert.equal(history.read().parkedSince, null)
      assert.equal(after(5, 2000), 2000)
      assert.equal(after(undefined, 3000), 2000)
      assert.equal(history.read().samples.at(-1)?.parked, null)
      assert.equal(after(4, 4000), 2000)
      assert.equal(history.read().samples.at(-1)?.parked, 5)
      history.add(none, 5000)
      assert.equal(history.read().parkedSince, null)
    }))

  it("is behind the token, and only where there is one", () =>
    serving({ token: "secret" }, async ({ ask }) => {
      const authorization = "Bearer secret"
      assert.equal((await ask("/v1/status/history")).status, 401)
      assert.equal((await ask("/v1/status/history", { headers: { authorization } })).status, 404)
    }))
})
