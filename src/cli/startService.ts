/**
 * `serve`, as this process or as several under it.
 */
import * as Effect from "effect/Effect"
import type { ConfigError } from "../AppConfig.ts"
import type { CommandError } from "./exit.ts"
import { ownNumber } from "./workers/messages.ts"

/** What `serve` was told. */
export interface ServeOptions {
  readonly config: ReadonlyArray<string>
  readonly withoutRetry: boolean
  /** Processes that share the port; 1: this one alone. */
  readonly workers: number
}

export const serve = (options: ServeOptions): Effect.Effect<void, ConfigError | CommandError> =>
  options.workers > 1 && ownNumber() === undefined
    ? Effect.flatMap(
        Effect.promise(() => import("./workers/supervisor.ts")),
        ({ serveWorkers }) => serveWorkers(options)
      )
    : Effect.flatMap(
        Effect.promise(() => import("./runService.ts")),
        ({ serve }) => serve(options)
      )
