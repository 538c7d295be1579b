/**
 * Spillway without Effect: promises, and one `dispose` at the end.
 *
 *     npx bun examples/promise.ts
 */
import { hostname } from "node:os"
import process from "node:process"
import { fileURLToPath } from "node:url"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as AppConfig from "../src/AppConfig.ts"
import * as Drivers from "../src/Drivers.ts"
import { PublishError } from "../src/Receipt.ts"
import * as Spillway from "../src/Spillway.ts"

const configFile = fileURLToPath(new URL("spillway.yaml", import.meta.url))
const runtime = ManagedRuntime.make(
  Spillway.layer(Drivers.live, `${hostname()}-promise-example`).pipe(
    Layer.provide(AppConfig.layer([configFile], process.env))
  )
)
try {
  const spillway = await runtime.runPromise(Spillway.Spillway)
  const clicks = ["ada", "grace", "barbara"].map(user => ({
    topic: "ad-events",
    key: user,
    value: JSON.stringify({ type: "click", user })
  }))
  for (const receipt of await Promise.all(clicks.map(click => spillway.publishPromise(click)))) {
    console.log(JSON.stringify(receipt))
  }
  // A fault of the record itself is an error, never parked.
  await spillway.publishPromise({ topic: "no-such-topic", value: "{}" }).catch((error: unknown) => {
    if (!(error instanceof PublishError)) throw error
    console.log(`rejected: ${error.reason}: ${error.message}`)
  })
} finally {
  // Flushes and parks whatever has no outcome yet.
  await runtime.dispose()
}
