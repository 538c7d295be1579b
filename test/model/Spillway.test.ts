/**
 * Random histories of one Spillway after the other over a Kafka and an SQS that fail in every scripted way, against a
 * model that only remembers what callers were told. `SPILLWAY_MODEL_RUNS=500 SPILLWAY_MODEL_SEED=1` looks longer;
 * fast-check prints the seed and the path of a history that breaks a law.
 */
import assert from "node:assert/strict"
import process from "node:process"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestContext from "effect/TestContext"
import fc from "fast-check"
import type { Fault, Operation } from "../../src/FallbackQueue/Memory.ts"
import type { Step } from "../../src/KafkaClient/Memory.ts"
import { advance } from "../support/doubles.ts"
import { World } from "./World.ts"

type QueueFault = readonly [Operation, Fault]

type Command =
  | { readonly _tag: "Publish"; readonly count: number }
  | { readonly _tag: "Advance"; readonly ms: number }
  /** Kafka is gone for long enough that records are parked, and comes back. */
  | {
      readonly _tag: "Outage"
      readonly count: number
      readonly replay: ReadonlyArray<Step>
      readonly queue: ReadonlyArray<QueueFault>
    }
  | { readonly _tag: "KafkaNext"; readonly step: Step }
  | { readonly _tag: "KafkaAlways"; readonly step: Step | undefined; readonly reachable: boolean }
  | {
      readonly _tag: "QueueNext"
      readonly operation: Operation
      readonly faults: ReadonlyArray<Fault>
      readonly dead: boolean
    }
  | { readonly _tag: "QueueDown"; readonly down: boolean }
  | { readonly _tag: "Restart" }
  | { readonly _tag: "Crash" }

/** 3 unknown topic, 6 not leader, 7 timed out (unknown), 10 too large (permanent), 19 not enough replicas. */
const code = fc.constantFrom(3, 6, 7, 10, 19)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step>({ _tag: "Hang" }, { _tag: "Refuse" }, { _tag: "LoseAck" }, { _tag: "Deliver" }),
  fc.record({ _tag: fc.constant("Delay" as const), ms: fc.constantFrom(100, 900) }),
  fc.record({ _tag: fc.constant("Fail" as const), code }),
  fc.record({ _tag: fc.constant("Partial" as const), code, partitions: fc.constantFrom([0], [1]) })
)
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.constantFrom<Fault>(
    { _tag: "Hang" },
    { _tag: "LoseReply" },
    { _tag: "Fail", reason: "Throttled" },
    { _tag: "Fail", reason: "AccessDenied" }
  ),
  fc.record({
    _tag: fc.constant("Refuse" as const),
    indexes: fc.constantFrom([0], [0, 1], [1]),
    reason: fc.constantFrom("Throttled" as const, "Unavailable" as const)
  })
)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ _tag: fc.constant("Publish" as const), count: fc.integer({ min: 1, max: 12 }) })
  },
  {
    weight: 6,
    arbitrary: fc.record({ _tag: fc.constant("Advance" as const), ms: fc.constantFrom(50, 300, 1500, 6000) })
  },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Outage" as const),
      count: fc.integer({ min: 2, max: 12 }),
      // Once, or for as long as one replay tries.
      replay: fc
        .array(fc.tuple(step, fc.constantFrom(1, 30)), { maxLength: 2 })
        .map(steps => steps.flatMap(([one, times]) => Array<Step>(times).fill(one))),
      queue: fc.array(fc.tuple(fc.constantFrom<Operation>("send", "delete"), fault), { maxLength: 2 })
    })
  },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("KafkaNext" as const), step }) },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("KafkaAlways" as const),
      step: fc.option(step, { nil: undefined, freq: 1 }),
      reachable: fc.boolean()
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("QueueNext" as const),
      operation: fc.constantFrom<Operation>("send", "receive", "delete", "changeVisibility", "limits"),
      // More of one kind than a call is tried again.
      faults: fc.tuple(fault, fc.constantFrom(1, 2, 6)).map(([one, times]) => Array<Fault>(times).fill(one)),
      dead: fc.boolean()
    })
  },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("QueueDown" as const), down: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Command>({ _tag: "Restart" }) },
  { weight: 1, arbitrary: fc.constant<Command>({ _tag: "Crash" }) }
)

const stepMs = 150

const carryOut = (world: World, one: Command): Effect.Effect<void> => {
  switch (one._tag) {
    case "Publish":
      return Effect.sync(() => world.publish(one.count))
    case "Advance":
      return advance(one.ms, Math.min(one.ms, stepMs))
    case "Outage":
      return Effect.gen(function* () {
        world.kafka.always({ _tag: "Refuse" })
        world.kafka.reachable(false)
        world.publish(one.count)
        yield* advance(1500, stepMs)
        world.kafka.always(undefined)
        world.kafka.reachable(true)
        world.kafka.script(...one.replay)
        for (const [operation, wrong] of one.queue) world.queue.script(operation, wrong)
        yield* advance(3000, stepMs)
      })
    case "KafkaNext":
      return Effect.sync(() => world.kafka.script(one.step))
    case "KafkaAlways":
      return Effect.sync(() => {
        world.kafka.always(one.step)
        world.kafka.reachable(one.reachable)
      })
    case "QueueNext":
      return Effect.sync(() => (one.dead ? world.dead : world.queue).script(one.operation, ...one.faults))
    case "QueueDown":
      return Effect.sync(() => world.queue.setDown(one.down ? "Unavailable" : undefined))
    case "Restart":
      return Effect.zipRight(world.shutDown, world.start)
    case "Crash":
      return Effect.zipRight(world.crash, world.start)
  }
}

const copies = (ids: ReadonlyArray<string>): number => ids.length - new Set(ids).size

/** What holds at every moment. */
const laws = (world: World) =>
  Effect.gen(function* () {
    const { accounting, held } = world.spillway.status()
    const { accepted, delivered, diverted, failed, inMemory, rejected, spooled } = accounting
    assert.equal(accepted, delivered + diverted + spooled + rejected + failed + inMemory, "accepted is accounted for")
    const places = held.reduce((sum, { buffered, inFlight, parking }) => sum + buffered + inFlight + parking, 0)
    assert.equal(places, inMemory, "every record in memory is somewhere")
    const kafka = new Set(world.inKafka())
    const parked = yield* world.idsIn(world.queue)
    const dead = yield* world.idsIn(world.dead)
    const elsewhere = new Set([...parked, ...dead])
    for (const [id, told] of world.told) {
      if (told === "delivered") assert.ok(kafka.has(id), `${id} was delivered, and is not in Kafka`)
      if (told === "diverted") assert.ok(kafka.has(id) || elsewhere.has(id), `${id} was diverted, and is lost`)
    }
    const { deadLettered, diverted: parkedEver, doubt, redelivered } = world.totals()
    const off = Math.abs(parkedEver - redelivered - deadLettered - parked.length)
    // Between two steps of one message, or of one store, the counters and the queue may differ by what is in hand.
    const moving = inMemory + (yield* world.inHand)
    assert.ok(off <= doubt + moving, `off by ${off}: in doubt ${doubt}, moving ${moving}`)
    return { parked, dead }
  })

const history = (commands: ReadonlyArray<Command>) =>
  Effect.gen(function* () {
    const world = new World()
    yield* world.start
    yield* advance(stepMs, stepMs)
    for (const one of commands) {
      yield* carryOut(world, one)
      yield* laws(world)
    }
    // Everything works again: all of it must come back.
    world.kafka.always(undefined)
    world.kafka.reachable(true)
    world.queue.setDown(undefined)
    let left = 1
    const look = Effect.map(world.idsIn(world.queue), ids => {
      left = ids.length
    })
    for (let passed = 0; left > 0 || world.spillway.status().accounting.inMemory > 0; passed += 1000) {
      assert.ok(passed < 600_000, `${left} records are still parked after ten minutes`)
      yield* advance(1000, 200)
      yield* look
    }
    const { dead } = yield* laws(world)
    const { deadLettered, diverted, doubt, redelivered } = world.totals()
    const stored = world.inKafka()
    const difference = Math.abs(diverted - redelivered - deadLettered)
    assert.ok(difference <= doubt, `diverted ${diverted}, back ${redelivered}, dead ${deadLettered}, in doubt ${doubt}`)
    assert.ok(copies([...stored, ...dead]) <= doubt, `${copies([...stored, ...dead])} copies, in doubt ${doubt}`)
    yield* world.shutDown
  })

const environment = (name: string): number | undefined => {
  const value = Number(process.env[name])
  return Number.isInteger(value) && process.env[name] !== undefined ? value : undefined
}

describe("any history", () => {
  it("loses nothing that was acknowledged, and accounts for every record and every copy", () =>
    fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), commands =>
        Effect.runPromise(
          history(commands).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.provide(TestContext.TestContext))
        )
      ),
      {
        numRuns: environment("SPILLWAY_MODEL_RUNS") ?? 4,
        seed: environment("SPILLWAY_MODEL_SEED") ?? 20_260_101,
        endOnFailure: process.env.SPILLWAY_MODEL_SHRINK === undefined
      }
    ))
})
