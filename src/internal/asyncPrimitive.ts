/**
 * `Effect.async` and `Effect.succeed` for the hot path, as bare ops of Effect's interpreter: no closure beyond the
 * registration, and the answer goes on with the fiber at once. `Effect.async` itself adds a custom op, a cancel handler
 * and an abort controller's place to each call, and wakes each fiber by a task, a microtask and a closure of its own,
 * which is most of what a publish costs; `Effect.succeed` fills seven fields to carry one value.
 *
 * It relies on the shape of effect 3.22's `Async` and `Success` ops and of a suspended fiber (pinned in package.json;
 * `test/internal/asyncPrimitive.test.ts` fails when they change). Where a fiber looks otherwise it is woken as usual. To
 * undo it: `Effect.async(register)`, `Effect.succeed(value)`.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"

type Resume<A, E> = (effect: Effect.Effect<A, E>) => void

/** A fiber that can be interrupted while it waits: `_asyncInterruptor` is what it waits for. */
interface Suspended<A, E> {
  _asyncInterruptor: Resume<A, E> | null
  _asyncBlockingOn: FiberId.FiberId | null
  start(effect: Effect.Effect<A, E>): void
}

class AsyncOp<A, E> {
  readonly _op = "Async"
  readonly effect_instruction_i0: (wake: Resume<A, E>) => void
  readonly effect_instruction_i1 = FiberId.none
  constructor(register: (wake: Resume<A, E>) => void) {
    this.effect_instruction_i0 = register
  }
}
Object.setPrototypeOf(AsyncOp.prototype, Effectable.EffectPrototype)

/** A whole `Success`, also as the fiber's exit: what is the same in all of them stands in the prototype. */
class SuccessOp<A> {
  readonly effect_instruction_i0: A
  constructor(value: A) {
    this.effect_instruction_i0 = value
  }
}
const success = Effect.succeed(undefined)
Object.setPrototypeOf(SuccessOp.prototype, Object.assign(Object.create(Object.getPrototypeOf(success)), success))

/** `Effect.succeed`. */
export const successPrimitive = <A>(value: A): Effect.Effect<A> => new SuccessOp(value) as unknown as Effect.Effect<A>

/**
 * Calls `begin` with `subject` and suspends until the callback is given an outcome; later calls do nothing. Interruption
 * ends the wait, nothing else.
 *
 * @param toEffect what the fiber goes on with
 */
export const asyncPrimitive = <S, O, A, E>(
  subject: S,
  begin: (subject: S, callback: (outcome: O) => void) => void,
  toEffect: (outcome: O) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  new AsyncOp<A, E>(wake => {
    const fiber = Option.getOrUndefined(Fiber.getCurrentFiber()) as unknown as Suspended<A, E> | undefined
    let waiting = true
    begin(subject, outcome => {
      if (!waiting) return
      waiting = false
      const effect = toEffect(outcome)
      // Not when it has been interrupted meanwhile, nor when it cannot be.
      if (fiber === undefined || fiber._asyncInterruptor !== wake) return wake(effect)
      fiber._asyncInterruptor = null
      fiber._asyncBlockingOn = null
      fiber.start(effect)
    })
  }) as unknown as Effect.Effect<A, E>
