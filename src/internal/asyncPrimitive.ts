/**
 * `Effect.async` for the hot path: one primitive op and no closure beyond the registration. `Effect.async` itself adds a
 * custom op, a cancel handler and an abort controller's place to each call, which is most of what a publish costs.
 *
 * It relies on the shape of effect 3.22's `Async` op (pinned in package.json; `test/internal/asyncPrimitive.test.ts` fails when
 * it changes). To undo it: `Effect.async(register)`.
 */
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as FiberId from "effect/FiberId"

type Register<A, E> = (resume: (effect: Effect.Effect<A, E>) => void) => void

class AsyncOp<A, E> {
  readonly _op = "Async"
  readonly effect_instruction_i0: Register<A, E>
  readonly effect_instruction_i1 = FiberId.none
  constructor(register: Register<A, E>) {
    this.effect_instruction_i0 = register
  }
}
Object.setPrototypeOf(AsyncOp.prototype, Effectable.EffectPrototype)

/** Suspends until `register`'s callback is called; later calls do nothing. Interruption ends the wait, nothing else. */
export const asyncPrimitive = <A, E>(register: Register<A, E>): Effect.Effect<A, E> =>
  new AsyncOp(register) as unknown as Effect.Effect<A, E>
