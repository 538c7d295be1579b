/**
 * `queues create`: the fallback queues and dead-letter queues of a configuration.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as AppConfig from "../AppConfig.ts"
import type { Provisioned } from "../FallbackQueue/Sqs.ts"
import * as Exit from "./exit.ts"
import { orUnavailable, write } from "./letters.ts"
import * as Shared from "./options.ts"

const stateText = { exists: "is there", created: "created", missing: "missing, would be created" } as const

const textOf = (queues: ReadonlyArray<Provisioned & { readonly producer: string; readonly role: string }>): string =>
  queues
    .flatMap(({ differences, producer, queue, role, state }) => [
      `${queue}: ${stateText[state]} (${role} queue of ${producer})`,
      ...differences.map(({ attribute, is, shouldBe, why }) => `  ${attribute} is ${is}, should be ${shouldBe}: ${why}`)
    ])
    .join("\n")

const create = Command.make(
  "create",
  {
    config: Shared.config,
    dryRun: Options.boolean("dry-run").pipe(Options.withDescription("Only look; nothing is created.")),
    json: Shared.json
  },
  ({ config: files, dryRun, json: asJson }) =>
    Effect.gen(function* () {
      const config = yield* AppConfig.load(files, process.env)
      const { provision } = yield* Effect.promise(() => import("../FallbackQueue/Sqs.ts"))
      const done = new Map<string, Provisioned & { readonly producer: string; readonly role: string }>()
      for (const { name: producer, retry } of Object.values(config.producers)) {
        if (!retry.enabled) continue
        const client = config.sqsClients[retry.clientName]
        if (client === undefined) continue
        const one = (role: "dead-letter" | "fallback", queueId: string, deadLetterQueueId: string | undefined) =>
          Effect.gen(function* () {
            const name = `${retry.clientName} ${queueId}`
            if (done.has(name)) return
            const provisioned = yield* orUnavailable(provision({ queueId, client, deadLetterQueueId, dryRun }))
            done.set(name, { producer, role, ...provisioned })
          })
        // The one the other's redrive policy points to comes first.
        yield* one("dead-letter", retry.deadLetterQueueId, undefined)
        yield* one("fallback", retry.queueId, retry.deadLetterQueueId)
      }
      const queues = Array.from(done.values())
      write(asJson ? JSON.stringify({ dryRun, queues }) : textOf(queues) || "no producer has retry enabled")
      const bad = queues.some(({ differences, state }) => state === "missing" || differences.length > 0)
      if (bad) yield* Exit.end(Exit.codes.findings)
    }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Create the fallback and dead-letter queues that are missing, with the settings they should have, and say where those that are there differ. Nothing that is there is changed. Ends with 1 when something differs, or would be created.\n\nExample:\n  spillway queues create --config app.yaml --dry-run"
  )
)

export const command = Command.make("queues").pipe(
  Command.withDescription("The SQS queues of a configuration."),
  Command.withSubcommands([create])
)
