/**
 * One HTTP server in a process of its own: `echo`, the runtime's bare server, or `spillway`, a POST acknowledged by Kafka.
 * Prints its port; ends with its parent.
 */
import * as Effect from "effect/Effect"
import * as HttpHandler from "../src/http/HttpHandler.ts"
import { defaultLimits } from "../src/http/server/HttpServer.ts"
import * as Serve from "../src/runtime/serve.ts"
import type { Status } from "../src/Spillway.ts"
import { makeBreaker, makeKafka, makeProducer } from "./spillwayRows.ts"
import type { Job } from "./window.ts"

const job: Job = JSON.parse(process.argv[2] ?? "{}")

declare const Bun: {
  readonly serve: (options: {
    readonly hostname: string
    readonly port: number
    readonly fetch: (request: Request) => Promise<Response>
  }) => { readonly port: number }
}

const echo = async (request: Request): Promise<Response> => new Response(await request.arrayBuffer())

const listening = (port: number): void => {
  console.log(port)
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
  const handler = HttpHandler.make({
    spillway: { offer: producer.offer, status, forceBreaker: () => false, onBreakerChange: () => {} },
    http: { maxBodyBytes: 1 << 20, token: undefined, requestTimeoutMs: 20_000 }
  })
  const server = yield* Effect.promise(() =>
    Serve.serve({ hostname: "127.0.0.1", port: 0, handler, limits: defaultLimits })
  )
  listening(server.port)
  return yield* Effect.never
})

if (job.name.startsWith("http-echo")) listening(Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: echo }).port)
else await Effect.runPromise(Effect.scoped(spillway))
