/**
 * Holds the service against its own description: schemathesis makes requests from docs/openapi.json and looks for answers
 * that are server errors or are not described. Then Confluent's own client for its REST Proxy publishes through it. `bun scripts/check-api.ts [--seed 7] [--max-examples 50]`; needs Python 3.
 * Kafka is away, so that what is published is diverted, to a queue in this machine.
 */
import { execFile, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Status } from "../src/Spillway.ts"
import { deleteDirectory, temporaryDirectory } from "../test/support/Guard.ts"
import { freePort } from "../test/support/ports.ts"
import * as Fauxqs from "./chaos/fauxqs.ts"
import { openApiFile } from "./openapi.ts"
import { ServiceProcess } from "./quickstart/ServiceProcess.ts"

const version = "4.32.5"
const token = "checked"
const root = fileURLToPath(new URL("..", import.meta.url))

const { values } = parseArgs({
  options: { seed: { type: "string", default: "7" }, "max-examples": { type: "string", default: "50" } }
})

/** Installs it once. */
const schemathesis = (): string => {
  const home = join(root, `.cache/schemathesis-${version}`)
  const command = join(home, "bin/schemathesis")
  if (existsSync(command)) return command
  mkdirSync(join(root, ".cache"), { recursive: true })
  execFileSync("python3", ["-m", "venv", home], { stdio: "inherit" })
  execFileSync(join(home, "bin/pip"), ["install", "--quiet", `schemathesis==${version}`], { stdio: "inherit" })
  return command
}

/** Confluent's client for Node speaks API v1, whose produce calls v2 has kept. It is too old to be a dependency. */
const clientVersion = "0.0.5"

/** Publishes in each way the client has; prints what it was told, one JSON to a line. */
const client = (module: string, url: string): string => `
const KafkaRest = require(${JSON.stringify(module)})
const client = new KafkaRest({ url: ${JSON.stringify(url)}, headers: { authorization: "Bearer ${token}" } })
const events = client.topic("events")
const told = name => (error, answer) => console.log(JSON.stringify({ name, status: error?.status, code: error?.data?.error_code, offsets: answer?.offsets?.length }))
events.produce("plain", told("one"))
events.produce({ key: "k", value: "v", partition: 1 }, { value: "w" }, told("two"))
events.partition(2).produce("two", told("partition"))
client.topic("nowhere").produce("x", told("unknown"))
events.produce(new KafkaRest.AvroSchema({ name: "i", type: "int" }), 3, told("avro"))
`

const clientExpected: ReadonlyArray<string> = [
  '{"name":"avro","status":415,"code":415}',
  '{"name":"one","offsets":1}',
  '{"name":"partition","offsets":1}',
  '{"name":"two","offsets":2}',
  '{"name":"unknown","status":404,"code":40401}'
]

/** True when the client is told what it should be. */
const checkClient = (directory: string, url: string): Promise<boolean> => {
  const home = join(root, `.cache/kafka-rest-${clientVersion}`)
  const module = join(home, "node_modules/kafka-rest")
  if (!existsSync(module)) {
    mkdirSync(home, { recursive: true })
    const args = ["install", "--prefix", home, "--no-audit", "--no-fund", `kafka-rest@${clientVersion}`]
    execFileSync("npm", args, { stdio: "inherit" })
  }
  const file = join(directory, "client.cjs")
  writeFileSync(file, client(module, url))
  return new Promise((resolve, reject) => {
    execFile("node", ["--no-deprecation", file], { timeout: 30_000 }, (error, stdout) => {
      if (error !== null) return reject(error)
      const told = stdout.trim().split("\n").sort()
      process.stdout.write(`kafka-rest ${clientVersion} was told:\n${told.join("\n")}\n`)
      resolve(told.join() === clientExpected.join())
    })
  })
}

const configuration = (port: number, queue: string): string => `
stream:
  output: { out: { topic: events, write_timeout: 100ms } }
  producer: { events: { output: out, retry: { queue_id: parked, create: true } } }
kafka: { connection: { default: { brokers: "127.0.0.1:1" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${queue}", access_key_id: a, secret_access_key: b } } } } }
breaker: { open_min: 1h, open_max: 1h }
http: { port: ${port}, token: ${token} }
`

/** Lines are written as they are made up. */
const hooks = `
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else repr(value).encode()
`

/** The one topic there is, where a request would otherwise name some other. */
const checks = `
hooks = "hooks.py"

[[operations]]
include-path-regex = "topic"
parameters = { "path.topic" = "events" }
`

const command = schemathesis()
const directory = temporaryDirectory("check-api")
const fauxqs = await Fauxqs.start()
const port = await freePort()
const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}
const service = await ServiceProcess.start(
  file("service.yaml", configuration(port, fauxqs.endpoint)),
  `http://127.0.0.1:${port}`
)
file("hooks.py", hooks)
try {
  const child = spawn(
    command,
    [
      ...["--config-file", file("schemathesis.toml", checks)],
      "run",
      fileURLToPath(openApiFile),
      ...["--url", `http://127.0.0.1:${port}`, "--header", `Authorization: Bearer ${token}`],
      ...["--phases", "examples,coverage,fuzzing"],
      ...["--exclude-checks", "negative_data_rejection"],
      ...["--seed", values.seed, "--max-examples", values["max-examples"], "--continue-on-failure", "--warnings", "off"]
    ],
    { stdio: "inherit", cwd: directory }
  )
  const status = await new Promise<number | null>(resolve => child.once("close", resolve))
  const understood = await checkClient(directory, `http://127.0.0.1:${port}`)
  const headers = { authorization: `Bearer ${token}` }
  const { accounting }: Status = await (await fetch(`http://127.0.0.1:${port}/v1/status`, { headers })).json()
  process.stdout.write(`accounting: ${JSON.stringify(accounting)}\n`)
  // Otherwise the calls that matter were not reached.
  process.exitCode = accounting.diverted > 0 && understood ? (status ?? 1) : 1
} finally {
  const { code } = await service.terminate(30_000)
  if (code !== 0) process.exitCode = 1
  process.stdout.write(`the service ended with ${code}\n`)
  await fauxqs.stop()
  deleteDirectory(directory)
}
