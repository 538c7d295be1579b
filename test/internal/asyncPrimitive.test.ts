import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Hash from "effect/Hash"
import { asyncPrimitive, successPrimitive } from "../../src/internal/asyncPrimitive.ts"

type Resume<A, E = never> = (effect: Effect.Effect<A, E>) => void

/** A wait whose callback is told the effect to go on with. */
const wait = <A, E = never>(register: (resume: Resume<A, E>) => void): Effect.Effect<A, E> =>
  asyncPrimitive(
    register,
    (begin, resume: Resume<A, E>) => begin(resume),
    effect => effect
  )

describe("asyncPrimitive", () => {
  it("succeeds and fails, at once and later, like Effect.async", async () => {
    const now = wait<number>(resume => resume(Effect.succeed(1)))
    const later = wait<number, string>(resume => {
      setImmediate(() => {
        resume(Effect.fail("no"))
        resume(Effect.succeed(2))
      })
    })
    const program = Effect.gen(function* () {
      const one = yield* now
      const two = yield* Effect.flip(later)
      const mapped = yield* Effect.map(now, value => value + 1).pipe(Effect.timeout(1000))
      return [one, two, mapped]
    })
    assert.deepEqual(await Effect.runPromise(program), [1, "no", 2])
  })

  it("is interrupted while it waits, and a late answer changes nothing", async () => {
    let resumeLate: Resume<number> | undefined
    const waiting = wait<number>(resume => {
      resumeLate = resume
    })
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.fork(waiting)
      yield* Effect.yieldNow()
      const exit = yield* Fiber.interrupt(fiber)
      resumeLate?.(Effect.succeed(1))
      return exit
    })
    const exit = await Effect.runPromise(program)
    assert.ok(Exit.isInterrupted(exit))
    assert.ok(resumeLate !== undefined)
  })
})

describe("successPrimitive", () => {
  it("is what Effect.succeed is, also as the exit of a fiber", async () => {
    const value = { some: "value" }
    const exit = await Effect.runPromiseExit(successPrimitive(value))
    assert.ok(Exit.isExit(exit) && Exit.isSuccess(exit))
    assert.equal(exit._tag, "Success")
    assert.equal(exit.value, value)
    assert.ok(Equal.equals(exit, Exit.succeed(value)) && Equal.equals(Exit.succeed(value), exit))
    assert.equal(Hash.hash(exit), Hash.hash(Exit.succeed(value)))
    assert.equal(String(exit), String(Exit.succeed(value)))
    const other = await Effect.runPromiseExit(successPrimitive(2))
    assert.ok(!Equal.equals(other, exit))
    // The ops that look at an effect's kind before they run it.
    const program = Effect.gen(function* () {
      const [both, mapped] = [
        yield* Effect.all([successPrimitive(1), successPrimitive(2)]),
        Effect.map(successPrimitive(3), n => n + 1)
      ]
      const fiber = yield* Effect.fork(successPrimitive(5))
      return [...both, yield* mapped, yield* Fiber.join(fiber), yield* Effect.flatten(Effect.exit(successPrimitive(6)))]
    })
    assert.deepEqual(await Effect.runPromise(program), [1, 2, 4, 5, 6])
    assert.equal(Effect.runSync(successPrimitive("now")), "now")
  })
})

describe("the way back from asyncPrimitive", () => {
  /** Lets every microtask and turn that is due pass. */
  const turn = Effect.promise(() => new Promise<void>(resolve => setImmediate(resolve)))

  it("goes on with the fiber at once: no task, no microtask", async () => {
    const program = Effect.gen(function* () {
      let resume: Resume<number> | undefined
      let went: number | undefined
      const waiting = wait<number>(wake => {
        resume = wake
      })
      yield* Effect.fork(Effect.map(waiting, value => (went = value)))
      yield* turn
      const before = went
      resume?.(Effect.succeed(7))
      return [before, went]
    })
    // Fails when effect's fibers have changed their shape: then each record's caller is woken by a task of its own again.
    assert.deepEqual(await Effect.runPromise(program), [undefined, 7])
  })

  it("is one way, however often and from wherever it is called", async () => {
    const program = Effect.gen(function* () {
      const seen: Array<number> = []
      const resumes: Array<Resume<number>> = []
      const waiting = wait<number>(wake => {
        resumes.push(wake)
      })
      const fiber = yield* Effect.fork(
        Effect.repeat(
          Effect.map(waiting, value => seen.push(value)),
          { times: 2 }
        )
      )
      yield* turn
      for (let i = 0; i < 3; i++) {
        resumes[i]?.(Effect.succeed(i))
        // What is over must not answer for what waits now.
        resumes[i]?.(Effect.succeed(100 + i))
        resumes[0]?.(Effect.succeed(200 + i))
        yield* turn
      }
      yield* Fiber.join(fiber)
      return seen
    })
    assert.deepEqual(await Effect.runPromise(program), [0, 1, 2])
  })

  it("reaches a fiber that cannot be interrupted, and one whose interruption came first does not go on", async () => {
    const program = Effect.gen(function* () {
      const resumes: Array<Resume<number>> = []
      const waiting = wait<number>(wake => {
        resumes.push(wake)
      })
      let finalized = 0
      const deaf = yield* Effect.fork(Effect.uninterruptible(waiting))
      const cleaning = wait<number>(wake => {
        resumes.push(wake)
      })
      const interrupted = yield* Effect.fork(
        Effect.ensuring(
          waiting,
          Effect.map(cleaning, value => (finalized = value))
        )
      )
      yield* turn
      yield* Fiber.interruptFork(interrupted)
      yield* turn
      const [toDeaf, late, toCleaning] = resumes
      // The first wait is over, the fiber waits in its finalizer: the late answer is not that one's.
      late?.(Effect.succeed(1))
      yield* turn
      const before = finalized
      toCleaning?.(Effect.succeed(2))
      toDeaf?.(Effect.succeed(3))
      const exit = yield* Fiber.await(interrupted)
      return { before, finalized, interrupted: Exit.isInterrupted(exit), deaf: yield* Fiber.join(deaf) }
    })
    assert.deepEqual(await Effect.runPromise(program), { before: 0, finalized: 2, interrupted: true, deaf: 3 })
  })
})
