/**
 * The library inside an application, as a process of its own: publishes at a steady rate and tells its parent, a line of
 * JSON at a time, what became of each record. `stop` on standard input ends the load, its end the process.
 *
 *     library.ts <configuration> <topic> <records per second>
 */
import process from "node:process"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Spillway from "../../src/Spillway.ts"

const [file = "", topic = "", rate = ""] = process.argv.slice(2)
const keys = 53
const tellEveryMs = 50
const shutdownMs = 10_000

const config = await Effect.runPromise(AppConfig.load([file], {}))
const scope = await Effect.runPromise(Scope.make())
const spillway = await Effect.runPromise(
  Scope.extend(Spillway.make(config, Drivers.live, Drivers.instanceName()), scope)
)

let count = 0
let answers: Array<readonly [number: number, fate: string, ms: number, partition: number, offset: number]> = []
const tell = () => {
  const status = spillway.status()
  const text = JSON.stringify({ count, answers, status }, (_, value: unknown) =>
    typeof value === "bigint" ? Number(value) : value
  )
  answers = []
  process.stdout.write(`${text}\n`)
}

const publish = () => {
  const number = count++
  const at = performance.now()
  const record = { topic, key: `key-${number % keys}`, value: `library ${number}`, id: `l-${number}` }
  spillway.offer(record, outcome => {
    const ms = Math.round(performance.now() - at)
    if (outcome._tag !== "Receipt") {
      answers.push([number, outcome.rejected ? "rejected" : "refused", ms, -1, -1])
      return
    }
    const { offset, partition } = outcome
    answers.push([number, outcome.outcome, ms, partition ?? -1, offset === undefined ? -1 : Number(offset)])
  })
}

const startedAt = performance.now()
const load = setInterval(() => {
  const due = ((performance.now() - startedAt) / 1000) * Number(rate)
  // A process that was held up does not catch up all at once.
  for (let burst = 0; count < due && burst < 200; burst++) publish()
}, 5)
setInterval(tell, tellEveryMs)
process.stdin.setEncoding("utf8")
process.stdin.on("data", () => clearInterval(load))
process.stdin.on("end", () => {
  clearInterval(load)
  Effect.runPromise(spillway.shutdown(shutdownMs))
    .then(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    .finally(() => {
      tell()
      process.exit(0)
    })
})
