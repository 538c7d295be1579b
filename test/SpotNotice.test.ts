import assert from "node:assert/strict"
import process from "node:process"
import { afterEach, beforeEach, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type { SpotConfig } from "../src/AppConfig.ts"
import { make as makeService } from "../src/internal/metadataService.ts"
import * as SpotNotice from "../src/SpotNotice.ts"
import { eventually } from "./support/eventually.ts"
import * as FakeMetadata from "./support/FakeMetadata.ts"

const action = "spot/instance-action"
const rebalance = "events/recommendations/rebalance"
const terminate = '{"action":"terminate","time":"2026-01-01T00:02:00Z"}'

describe("the budget a notice leaves", () => {
  const now = Date.parse("2026-01-01T00:00:00Z")
  const cases: ReadonlyArray<readonly [string, SpotNotice.Interruption, number]> = [
    ["all of it two minutes ahead", { action: "terminate", at: now + 120_000 }, 110_000],
    ["less when EC2 is nearer, with a margin", { action: "stop", at: now + 60_000 }, 55_000],
    ["a second when it is too late", { action: "hibernate", at: now - 1000 }, 1000],
    ["all of it when EC2 does not say", { action: "terminate", at: undefined }, 110_000]
  ]
  for (const [what, interruption, expected] of cases) {
    it(what, () => assert.equal(SpotNotice.budgetMs(interruption, now, 110_000), expected))
  }
})

describe("what EC2 writes", () => {
  it("is read", () => {
    assert.deepEqual(SpotNotice.readInterruption(terminate), {
      action: "terminate",
      at: Date.parse("2026-01-01T00:02:00Z")
    })
    assert.deepEqual(SpotNotice.readInterruption('{"action":"stop","time":"soon"}'), { action: "stop", at: undefined })
    assert.deepEqual(SpotNotice.readInterruption('{"action":"stop"}'), { action: "stop", at: undefined })
  })
  for (const text of ["", "{", "null", "[]", "<html>", '{"action":"reboot"}', '{"action":["stop"]}', '{"time":"x"}']) {
    it(`is not ${text === "" ? "nothing" : text}`, () => assert.equal(SpotNotice.readInterruption(text), undefined))
  }
})

describe("SpotNotice", () => {
  let imds: FakeMetadata.FakeMetadata
  let logged: Array<string> = []
  let stop = async () => {}
  beforeEach(async () => {
    imds = await FakeMetadata.start()
    logged = []
  })
  afterEach(async () => {
    await stop()
    await imds.close()
  })

  const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
  const quiet = Logger.replace(Logger.defaultLogger, logger)

  /** Runs the loop on the real clock; tells what was noticed. */
  const watch = (config: Partial<SpotConfig> = {}) => {
    const seen: { interruption?: SpotNotice.Interruption; rebalance?: true; ended?: true } = {}
    const spot = Effect.runSync(
      SpotNotice.make({
        enabled: "auto",
        endpoint: imds.endpoint,
        intervalMs: 20,
        budgetMs: 110_000,
        onRebalance: "ignore",
        ...config
      })
    )
    const work = Effect.all(
      [
        Effect.ensuring(
          spot.run,
          Effect.sync(() => {
            seen.ended = true
          })
        ),
        Effect.map(spot.interruption, found => {
          seen.interruption = found
        }),
        Effect.map(spot.rebalance, () => {
          seen.rebalance = true
        })
      ],
      { concurrency: "unbounded" }
    )
    const fiber = Effect.runFork(Effect.provide(work, quiet))
    stop = async () => void (await Effect.runPromise(Fiber.interrupt(fiber)))
    return { spot, seen }
  }
  const until = (what: string, holds: () => boolean) =>
    eventually(what, 10_000, () => holds() || undefined, { everyMs: 5 })

  it("shows its token, and tells of the notice and of the recommendation", async () => {
    const { seen, spot } = watch()
    await until("the first answer", () => spot.state() === "watching")
    await until("a second look", () => imds.asked.filter(({ path }) => path.endsWith(rebalance)).length === 2)
    assert.deepEqual(seen, {})
    imds.data.set(rebalance, '{"noticeTime":"2026-01-01T00:00:00Z"}')
    await until("the recommendation", () => seen.rebalance === true)
    assert.ok(!("interruption" in seen))
    imds.data.set(action, terminate)
    await until("the notice", () => seen.interruption?.action === "terminate")
    // One token for all of it.
    assert.equal(imds.asked.filter(({ method }) => method === "PUT").length, 1)
    assert.ok(imds.asked.every(({ method, token }) => method === "PUT" || token === "token-1="))
    assert.equal(seen.ended, undefined)
  })

  it("gets a new token when its own is refused", async () => {
    const { seen, spot } = watch()
    await until("the first answer", () => spot.state() === "watching")
    imds.forgetTokens()
    imds.data.set(action, terminate)
    await until("the notice", () => seen.interruption !== undefined)
    assert.equal(imds.asked.at(-1)?.token, "token-2=")
    assert.deepEqual(logged, [`spot notice: watching ${imds.endpoint}`])
  })

  it("outlives hangs, errors and nonsense, and logs each fault once", async () => {
    const { seen, spot } = watch()
    await until("the first answer", () => spot.state() === "watching")
    imds.next.push(500, 500, 500, 503, "hang")
    await until("the faults", () => imds.next.length === 0)
    imds.data.set(action, "<html>not yet</html>")
    await until("nonsense", () => logged.some(line => line.includes("not what EC2 writes")))
    const looks = imds.asked.length
    await until("more looks", () => imds.asked.length >= looks + 6)
    assert.equal(seen.interruption, undefined)
    imds.data.set(action, terminate)
    await until("the notice", () => seen.interruption !== undefined)
    assert.deepEqual(
      logged.map(line => line.replace(imds.endpoint, "IMDS")),
      [
        "spot notice: watching IMDS",
        "spot notice: IMDS/latest/meta-data/spot/instance-action answers with status 500",
        "spot notice: IMDS/latest/meta-data/spot/instance-action answers with status 503",
        "spot notice: IMDS does not answer within 1000 ms",
        'spot notice: instance-action is not what EC2 writes: "<html>not yet</html>"'
      ]
    )
  })

  it("goes on when the service vanishes and comes back", async () => {
    const { seen, spot } = watch()
    await until("the first answer", () => spot.state() === "watching")
    await imds.close()
    await until("the fault", () => logged.some(line => line.includes("does not answer")))
    imds = await FakeMetadata.start(Number(new URL(imds.endpoint).port))
    imds.data.set(action, terminate)
    await until("the notice", () => seen.interruption !== undefined)
    // The one that came back does not know the token.
    assert.deepEqual(
      imds.asked.slice(0, 3).map(({ method, token }) => [method, token]),
      [
        ["GET", "token-1="],
        ["PUT", undefined],
        ["GET", "token-1="]
      ]
    )
    assert.equal(spot.state(), "watching")
    assert.equal(logged.length, 2)
  })

  it("is off where there is no such service, said once", async () => {
    const { endpoint } = imds
    await imds.close()
    const { seen, spot } = watch({ endpoint })
    await until("the verdict", () => spot.state() === "off")
    assert.equal(logged.length, 1)
    assert.match(logged[0] ?? "", /^spot notice: off, there is no instance metadata service \(http.* does not answer: /)
    assert.equal(seen.ended, undefined)
    imds = await FakeMetadata.start()
  })

  it("is off where something else answers at that address", async () => {
    imds.next.push(405, 405, 405)
    const { spot } = watch()
    await until("the verdict", () => spot.state() === "off")
    assert.match(logged[0] ?? "", /latest\/api\/token answers with status 405/)
    assert.equal(imds.asked.length, 3)
  })

  it("keeps asking where it was told that there is one", async () => {
    imds.next.push(...Array<number>(10).fill(404))
    const { seen, spot } = watch({ enabled: true })
    imds.data.set(action, terminate)
    await until("the notice", () => seen.interruption !== undefined)
    await until("the first answer", () => spot.state() === "watching")
    assert.equal(logged.length, 2)
  })

  it("asks nobody when switched off", async () => {
    const { spot } = watch({ enabled: false })
    assert.equal(spot.state(), "off")
    await Effect.runPromise(Effect.sleep(0))
    assert.deepEqual(imds.asked, [])
  })

  it("asks no proxy", async () => {
    const names = ["HTTP_PROXY", "http_proxy"] as const
    const before = names.map(name => process.env[name])
    for (const name of names) process.env[name] = "http://127.0.0.1:1"
    try {
      imds.data.set(action, terminate)
      assert.equal(await Effect.runPromise(makeService(imds.endpoint).get(`meta-data/${action}`)), terminate)
    } finally {
      names.forEach((name, index) => {
        const value = before[index]
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      })
    }
  })
})
