/**
 * `breaker`: an operator's word on a circuit breaker of a running service.
 */
import process from "node:process"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Options from "./options.ts"
import * as Service from "./service.ts"

const description = `Force a running service's circuit breaker open or closed, or give control back to it.

open: everything is diverted at once. close: everything goes to Kafka, whatever became of the last records. auto: the breaker decides again. It holds until it is changed or the service ends. The service must have http.token set.

Example:
  spillway breaker open --config spillway.yaml`

const state = Args.choice(
  [
    ["open", "open"],
    ["close", "closed"],
    ["auto", "auto"]
  ] as const,
  { name: "action" }
).pipe(Args.withDescription("open, close or auto."))

const connection = CliOptions.text("connection").pipe(
  CliOptions.withDescription("Name of the kafka.connection; default by default."),
  CliOptions.withDefault("default")
)

const { json, service } = Options

const sentences = {
  open: "is forced open: everything is diverted",
  closed: "is forced closed: everything goes to Kafka",
  auto: "decides by itself again"
} as const

export const command = Command.make("breaker", { state, connection, json, ...service }, given =>
  Effect.gen(function* () {
    const { connection, json, state } = given
    const found = yield* Service.find(given)
    const answer = yield* Service.ask(found, `/v1/breakers/${encodeURIComponent(connection)}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ state })
    })
    const text = json ? JSON.stringify(answer) : `the circuit breaker of ${connection} ${sentences[state]}`
    process.stdout.write(`${text}\n`)
  })
).pipe(Command.withDescription(description))
