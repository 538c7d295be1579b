import assert from "node:assert/strict"
import process from "node:process"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { AppConfig } from "../src/AppConfig.ts"
import * as Notice from "../src/Notice.ts"
import { Spillway } from "../src/Spillway.ts"
import * as SpotNotice from "../src/SpotNotice.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"

const spotConfig = {
  enabled: true,
  endpoint: "http://127.0.0.1:1",
  intervalMs: 5000,
  budgetMs: 110_000,
  onRebalance: "drain"
} as const
const shutdown = { budgetMs: 25_000, spot: spotConfig }

/** A spot notice that comes when told to. */
const spotDouble = () => {
  const interrupted = Effect.unsafeMakeLatch(false)
  const recommended = Effect.unsafeMakeLatch(false)
  let at: number | undefined
  const service: SpotNotice.Service = {
    state: () => "watching",
    interruption: Effect.map(interrupted.await, () => ({ action: "terminate", at })),
    rebalance: recommended.await,
    run: Effect.never
  }
  return {
    service,
    interrupt: (when: number | undefined) => {
      at = when
      interrupted.unsafeOpen()
    },
    recommend: () => void recommended.unsafeOpen()
  }
}

describe("Notice", () => {
  it("takes the first of several, and its deadline stays: a second signal changes nothing", () =>
    onTestClock(
      Effect.gen(function* () {
        const spot = spotDouble()
        const notices = yield* Notice.listen(shutdown, spot.service)
        yield* advance(1000)
        process.kill(process.pid, "SIGTERM")
        const first = yield* notices.first
        assert.deepEqual(first, { why: "SIGTERM", orderly: true, endsAt: 26_000 })
        yield* advance(1000)
        process.kill(process.pid, "SIGTERM")
        spot.interrupt(undefined)
        yield* advance(100)
        assert.equal(yield* notices.first, first)
      })
    ))

  it("gives a spot notice its own budget, less where EC2 is nearer", () =>
    onTestClock(
      Effect.gen(function* () {
        const spot = spotDouble()
        const notices = yield* Notice.listen(shutdown, spot.service)
        yield* advance(1000)
        spot.interrupt(61_000)
        assert.deepEqual(yield* notices.first, {
          why: "spot interruption notice (terminate at 1970-01-01T00:01:01.000Z)",
          orderly: true,
          endsAt: 56_000
        })
      })
    ))

  it("is not orderly when a loop cannot be kept running", () =>
    onTestClock(
      Effect.gen(function* () {
        const spot = { ...spotDouble().service, run: Effect.die(new Error("broken")) }
        const notices = yield* Notice.listen(shutdown, spot)
        let found: Notice.Notice | undefined
        yield* Effect.fork(
          Effect.map(notices.first, notice => {
            found = notice
          })
        )
        yield* advanceUntil("the notice", () => found !== undefined, { stepMs: 500 })
        assert.equal(found?.orderly, false)
        assert.match(found?.why ?? "", /^spot notice stopped 11 times within 60000 ms, last: .*broken/)
      })
    ))

  it("drains on a rebalance recommendation: nothing waits for company, nothing is refused", () =>
    onTestClock(
      Effect.gen(function* () {
        const spot = spotDouble()
        const { kafka, spillway } = yield* harness({ partitions: 2, idleTimeout: "900ms" })
        const notices = yield* Notice.listen(shutdown, spot.service)
        yield* notices.attend(spillway)
        yield* advance(40)
        spot.recommend()
        yield* advance(40)
        kafka.script({ _tag: "Delay", ms: 600 })
        const told: Array<string> = []
        const offer = (partition: number) =>
          spillway.offer({ topic: "events", value: "v", partition }, outcome =>
            told.push(`${partition} ${outcome._tag}`)
          )
        offer(0)
        yield* advance(40)
        // Behind a request to the same broker it would wait for company.
        offer(1)
        yield* advance(40)
        assert.deepEqual(told, ["1 Receipt"])
        assert.equal(spillway.status().health.readiness, "accepting")
      })
    ))

  it("shuts an application down before its program is interrupted", () =>
    onTestClock(
      Effect.gen(function* () {
        const spot = spotDouble()
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        kafka.script({ _tag: "Delay", ms: 500 })
        const heard: Array<string> = []
        const program = Effect.gen(function* () {
          const { outcome } = yield* spillway.publish({ topic: "events", value: "v" })
          heard.push(outcome)
          heard.push((yield* Effect.flip(spillway.publish({ topic: "events", value: "late" }))).reason)
          return yield* Effect.never
        })
        let end: Notice.End<never> | undefined
        yield* Notice.runUntil(
          Effect.ensuring(
            program,
            Effect.sync(() => heard.push("interrupted"))
          )
        ).pipe(
          Effect.map(ended => {
            end = ended
          }),
          Effect.provideService(Spillway, spillway),
          Effect.provideService(SpotNotice.SpotNotice, spot.service),
          Effect.provideService(AppConfig, { shutdown } as AppConfig),
          Effect.fork
        )
        yield* advance(40)
        spot.interrupt(undefined)
        yield* advanceUntil("the end", () => end !== undefined)
        assert.deepEqual(heard, ["delivered", "Closed", "interrupted"])
        assert.equal(end?._tag === "Noticed" && end.summary.complete, true)
      })
    ))

  it("ends the process past the deadline, and says what was left and where", async () => {
    const written: Array<string> = []
    const { exit, stderr } = process
    const { write } = stderr
    let code: unknown
    const exited = new Promise<void>(resolve => {
      process.exit = ((given: unknown) => {
        code = given
        resolve()
      }) as typeof process.exit
    })
    stderr.write = ((text: string) => {
      written.push(text)
      return true
    }) as typeof stderr.write
    const scope = Effect.runSync(Scope.make())
    try {
      const accounting = { accepted: 9, delivered: 1, diverted: 2, divertedUnknown: 0, spooled: 0 }
      const rest = { rejected: 0, failed: 0, inMemory: 6, redelivered: 0, deadLettered: 0 }
      const held = [{ topic: "events", buffered: 1, inFlight: 2, parking: 3, queue: "parked" }]
      const stuck = {
        status: () => ({ accounting: { ...accounting, ...rest }, held }),
        shutdown: () => Effect.never
      } as unknown as Parameters<typeof Notice.shutDown>[1]
      const notice = { why: "SIGTERM", orderly: true, endsAt: Date.now() + 100 }
      Effect.runFork(Scope.extend(Notice.shutDown(notice, stuck), scope))
      await exited
      assert.equal(code, 1)
      assert.match(
        written.join(""),
        /^shutdown forced after 2\d{3} ms: accepted=9 delivered=1 diverted=2 spooled=0 rejected=0 failed=0 in_memory=6; left: events: 1 buffered, 2 in flight to Kafka, 3 waiting for queue parked\n$/
      )
    } finally {
      process.exit = exit
      stderr.write = write
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  })
})
