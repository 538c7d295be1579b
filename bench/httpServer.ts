/**
 * One HTTP server in a process of its own: `echo`, the runtime's bare server, or `spillway`, a POST acknowledged by Kafka.
 * Prints its port; ends with its parent.
 */
import * as Effect from "effect/Effect"
import * as HttpHandler from "../src/http/HttpHandler.ts"
import * as Serve from "../src/runtime/serve.ts"
import type { Status } from "../src/Spillway.ts"
import { makeBreaker, makeKafka, makeProducer } from "./spillwayRows.ts"
import type { Job } from "./window.ts"

const job: Job = JSON.parse(process.argv[2] ?? "{}")

const echo = async (request: Request): Promise<Response> => new Response(await request.arrayBuffer())

const listen = async (fetch: Serve.ServeOptions["fetch"]): Promise<void> => {
  const server = await Serve.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch,
    idleTimeoutMs: 30_000,
    maxBodyBytes: 1 << 20
  })
  console.log(server.port)
  // Asked for its CPU time, microseconds.
  process.stdin.on("data", () => {
    const { system, user } = process.cpuUsage()
    console.log(user + system)
  })
  process.stdin.once("end", () => process.exit(0))
}

const spillway = Effect.gen(function* () {
  const producer = yield* makeProducer(job, yield* makeKafka(job), yield* makeBreaker)
  yield* Effect.orDie(producer.reach)
  const status = (): Status => {
    throw new Error("only publishes are measured")
  }
  const { fetch } = HttpHandler.make({
    spillway: { offer: producer.offer, status },
    http: { maxBodyBytes: 1 << 20, token: undefined, requestTimeoutMs: 20_000 }
  })
  yield* Effect.promise(() => listen(fetch))
  return yield* Effect.never
})

if (job.name === "http-echo") await listen(echo)
else await Effect.runPromise(Effect.scoped(spillway))
