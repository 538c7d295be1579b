/**
 * `--stay`: everything keeps running, with lines to try. A Kafka that is killed comes back by itself.
 */
import { engine } from "../../test/support/Engine.ts"
import { jarDirectory } from "../../test/support/Jars.ts"
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
  const cli = (words: string) => `npx bun src/main.ts ${words} --config ${site.configFile}`
  const authorization = `-H 'authorization: Bearer ${site.token}'`
  screen.line(screen.paint("bold", "Everything keeps running. In a browser:"))
  screen.line()
  say(`the dashboard; it asks for the token ${site.token}`, `${site.base}/`)
  screen.line()
  screen.line(screen.paint("bold", "In another terminal:"))
  screen.line()
  say(
    "one record",
    `curl -i ${url} ${authorization} -H 'spillway-key: user-1' -H 'content-type: application/json' -d '{"type":"click"}'`
  )
  say(
    "many records",
    `printf '{"key":"a","value":{"n":1}}\\n{"key":"b","value":{"n":2}}\\n' | curl -s ${url} ${authorization} -H 'content-type: application/x-ndjson' --data-binary @-`
  )
  say(
    "records all the time, to have something to watch",
    `while sleep .05; do curl -s ${url} ${authorization} -d '{"type":"click"}'; echo; done`
  )
  say("what it is doing", cli("status"))
  // In a container the process to kill is another than the one we started, and so are Kafka's tools.
  if (engine().kind === "java") {
    say(
      `kill Kafka, publish on (202), and see it replayed: Kafka is started again after ${awayMs / 1000} s`,
      kill(site)
    )
    say("the dead letter, and why it is one", cli("dlq peek"))
    const tool = `java -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp '${await jarDirectory("kafka")}/*' kafka.admin.ConfigCommand --bootstrap-server ${site.broker.address}`
    const limit = `--alter --entity-type topics --entity-name ${topic} --add-config max.message.bytes=1048588`
    say("raise the topic's limit, and send the dead letter on its way again", `${tool} ${limit}`)
    screen.line(`   ${cli("dlq redrive")}`)
  }
  const places = `KAFKA_BROKERS=${site.broker.address} SQS_ENDPOINT=${site.sqs.endpoint}`
  say("Spillway inside an application", `${places} npx bun examples/effect.ts`)
  say("the configuration it runs with", `cat ${site.configFile}`)
  screen.line()
  screen.line("Ctrl-C ends everything.")
  for (;;) {
    await pause(lookMs)
    if (site.broker.live) continue
    screen.line(`Kafka was killed; it is started again in ${awayMs / 1000} s`)
    await pause(awayMs)
    await site.broker.restart()
    screen.line(`Kafka is back. To kill it again: ${kill(site)}`)
  }
}

const kill = (site: Site): string => `kill -9 ${site.broker.pid ?? "?"}`
