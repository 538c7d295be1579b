/**
 * `--stay`: everything keeps running, with lines to try. A Kafka that is killed comes back by itself.
 */
import { engine } from "../../test/support/Engine.ts"
import { topic } from "./configuration.ts"
import type { Screen } from "./Screen.ts"
import type { Site } from "./Site.ts"

const awayMs = 15_000
const lookMs = 300

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Does not return; the process ends by a signal. */
export const stay = async (screen: Screen, site: Site): Promise<never> => {
  const say = (what: string, command: string) => {
    screen.line(`   ${screen.paint("dim", `# ${what}`)}`)
    screen.line(`   ${command}`)
  }
  const url = `${site.base}/v1/topics/${topic}/records`
  screen.line(screen.paint("bold", "Everything keeps running. In another terminal:"))
  screen.line()
  say(
    "one record",
    `curl -i ${url} -H 'spillway-key: user-1' -H 'content-type: application/json' -d '{"type":"click"}'`
  )
  say(
    "many records",
    `printf '{"key":"a","value":{"n":1}}\\n{"key":"b","value":{"n":2}}\\n' | curl -s ${url} -H 'content-type: application/x-ndjson' --data-binary @-`
  )
  say("what it is doing, and its metrics", `curl -s ${site.base}/v1/status; curl -s ${site.base}/metrics`)
  // In a container the process to kill is another than the one we started.
  if (engine().kind === "java")
    say(`kill Kafka, publish again (202), and see it replayed: Kafka comes back after ${awayMs / 1000} s`, kill(site))
  const places = `KAFKA_BROKERS=${site.broker.address} SQS_ENDPOINT=${site.sqs.endpoint}`
  say("Spillway inside an application", `${places} npx bun examples/effect.ts`)
  say("the configuration it runs with", `cat ${site.configFile}`)
  screen.line()
  screen.line("Ctrl-C ends everything.")
  for (;;) {
    await pause(lookMs)
    if (site.broker.live) continue
    screen.line(`Kafka was killed; it comes back in ${awayMs / 1000} s`)
    await pause(awayMs)
    await site.broker.restart()
    screen.line(`Kafka is back. To kill it again: ${kill(site)}`)
  }
}

const kill = (site: Site): string => `kill -9 ${site.broker.pid ?? "?"}`
