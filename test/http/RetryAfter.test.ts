import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as RetryAfter from "../../src/http/RetryAfter.ts"
import { eventually } from "../support/eventually.ts"
import { serving } from "./serving.ts"

describe("Retry-After", () => {
  it("is the next probe of an open breaker, over HTTP", () =>
    serving(
      { unreachable: true, retry: "enabled: false", more: "breaker: { open_min: 40s, open_max: 60s, jitter: 0 }" },
      async ({ post, spillway }) => {
        await eventually("an open breaker", 10_000, () =>
          spillway.status().connections[0]?.breaker.state === "open" ? true : undefined
        )
        const answer = await post("1")
        assert.equal(answer.status, 503)
        assert.match(answer.text, /"reason":"FallbackUnavailable"/)
        const after = Number(answer.headers.get("retry-after"))
        const probe = (spillway.status().connections[0]?.breaker.nextProbeAt ?? 0) - Date.now()
        assert.ok(after >= 30 && after <= 40, `${after} s`)
        assert.ok(Math.abs(after * 1000 - probe) <= 3000, `${after} s, and the probe is in ${probe} ms`)
      }
    ))

  type Connections = ReturnType<Parameters<typeof RetryAfter.make>[0]>["connections"]

  const at = (now: number, connections: Connections, endsAt?: number) =>
    RetryAfter.make(
      () => ({ connections }),
      () => endsAt,
      () => now
    )
  const open = (nextProbeAt: number, state = "open") => ({ breaker: { state, nextProbeAt }, fallbacks: [] })
  const backlog = (state: string) => ({
    breaker: { state: "closed", nextProbeAt: 0 },
    fallbacks: [{ writer: { backlog: undefined } }, { writer: { backlog: { state } } }]
  })

  it("is the longest wait that is known, in whole seconds, at least one and at most five minutes", () => {
    for (const [connections, expected] of [
      [[], "1"],
      [[open(0, "closed")], "1"],
      [[open(1_007_200)], "8"],
      [[open(1_002_000), open(1_009_000)], "9"],
      [[open(999_000)], "1"],
      [[open(2_000_000)], "300"],
      [[backlog("open")], "1"],
      [[backlog("holding")], "5"],
      [[backlog("refusing"), open(1_020_000)], "20"]
    ] as const) {
      const after = at(1_000_000, connections)
      for (const reason of ["Overloaded", "FallbackUnavailable", "Timeout"] as const) {
        assert.equal(after(reason), expected, `${reason}: ${JSON.stringify(connections)}`)
      }
      assert.equal(after("InvalidRecord"), undefined)
      assert.equal(after("UnknownTopic"), undefined)
    }
  })

  it("is the rest of a shutdown", () => {
    assert.equal(at(1_000_000, [], 1_024_100)("Closed"), "25")
    assert.equal(at(1_000_000, [], 900_000)("Closed"), "1")
    assert.equal(at(1_000_000, [open(1_050_000)])("Closed"), "1")
  })

  it("looks at the status at most twice a second, however much fails", () => {
    let now = 0
    let looks = 0
    const status = () => {
      looks++
      return { connections: [] }
    }
    const after = RetryAfter.make(
      status,
      () => undefined,
      () => now
    )
    for (; now < 2000; now++) after("Overloaded")
    assert.equal(looks, 4)
  })
})
