/**
 * Requests made in the same turn of the event loop, answered by one call of at most so many: SQS bills calls, and each is a
 * way there and back.
 */
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

interface Asked<I, E> {
  readonly request: I
  readonly resume: (effect: Effect.Effect<void, E>) => void
}

/**
 * A call under way is nobody's in particular: a request that is interrupted may be carried out all the same.
 *
 * @param most requests of one call at most
 * @param call answers each request, in order; what it fails with is everyone's
 */
export const makeSharedCalls = <I, E>(
  most: number,
  call: (requests: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<Either.Either<void, E>>, E>
): Effect.Effect<(request: I) => Effect.Effect<void, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const calls = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(calls)<never>()
    let waiting: Array<Asked<I, E>> = []

    const answer = (asked: ReadonlyArray<Asked<I, E>>) =>
      Effect.matchCauseEffect(call(asked.map(({ request }) => request)), {
        onFailure: cause =>
          Effect.sync(() => {
            for (const { resume } of asked) resume(Effect.failCause(cause))
          }),
        onSuccess: answers =>
          Effect.sync(() => {
            asked.forEach(({ resume }, index) => resume(answers[index] ?? Effect.dieMessage("a request has no answer")))
          })
      })

    const flush = () => {
      const asked = waiting
      waiting = []
      for (let from = 0; from < asked.length; from += most) start(answer(asked.slice(from, from + most)))
    }

    return request =>
      Effect.async(resume => {
        waiting.push({ request, resume })
        if (waiting.length === 1) setImmediate(flush)
      })
  })
