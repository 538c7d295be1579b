/**
 * Spillway inside an Effect application: a layer, a service, a typed error.
 *
 *     npx bun examples/effect.ts
 */
import { hostname } from "node:os"
import process from "node:process"
import { fileURLToPath } from "node:url"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AppConfig from "../src/AppConfig.ts"
import * as Drivers from "../src/Drivers.ts"
import * as Notice from "../src/Notice.ts"
import * as Spillway from "../src/Spillway.ts"
import * as SpotNotice from "../src/SpotNotice.ts"

const configFile = fileURLToPath(new URL("spillway.yaml", import.meta.url))

/** The application knows the tag, not how it is made. */
const trackClick = (user: string) =>
  Effect.gen(function* () {
    const spillway = yield* Spillway.Spillway
    const receipt = yield* spillway.publish({
      topic: "ad-events",
      key: user,
      value: JSON.stringify({ type: "click", user, ts: Date.now() })
    })
    // delivered: in Kafka, with partition and offset. diverted: durable in SQS, replayed when Kafka is back.
    yield* Console.log(`${receipt.id} ${receipt.outcome} ${receipt.partition ?? "-"}@${receipt.offset ?? "-"}`)
  }).pipe(
    Effect.catchTag("PublishError", error => Console.error(`not durable anywhere: ${error.reason}: ${error.message}`))
  )

const program = Effect.forEach(["ada", "grace", "barbara"], trackClick, { concurrency: "unbounded", discard: true })

const live = Layer.merge(Spillway.layer(Drivers.live, `${hostname()}-effect-example`), SpotNotice.layer).pipe(
  Layer.provideMerge(AppConfig.layer([configFile], process.env))
)

// The end of the layer flushes to Kafka, parks what Kafka does not take, and only then lets the process end.
// `Notice.runUntil` has the same done on SIGTERM, SIGINT and EC2's spot notice, while the program still runs.
const end = await Effect.runPromise(Notice.runUntil(program).pipe(Effect.provide(live)))
if (end._tag === "Noticed") process.exitCode = end.notice.orderly && end.summary.complete ? 0 : 1
