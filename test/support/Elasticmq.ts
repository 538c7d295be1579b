/**
 * ElasticMQ: an SQS-compatible server in a process of its own, with SQS's limits enforced.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { engine } from "./Engine.ts"
import { eventually } from "./eventually.ts"
import { deleteDirectory, temporaryDirectory } from "./Guard.ts"
import { jvmFlags } from "./Java.ts"
import { freePort } from "./ports.ts"
import { ServerProcess } from "./ServerProcess.ts"

export interface Elasticmq {
  /** Base URL of the SQS API; any region and credentials will do. */
  readonly endpoint: string
  readonly port: number
  /** Process id while it runs. */
  readonly pid: () => number | undefined
  /** SIGKILL; what it held is gone, it keeps queues in memory. */
  readonly kill: () => Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  readonly freeze: () => void
  readonly resume: () => void
  /** Starts it again on the same port, empty. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

const configuration = (port: number): string => `
include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = ${port}, context-path = "" }
rest-sqs { enabled = true, bind-port = ${port}, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
`

const answers = async (endpoint: string): Promise<true> => {
  const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.ListQueues" }
  const signal = AbortSignal.timeout(1_000)
  const response = await fetch(endpoint, { method: "POST", headers, body: "{}", signal })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`ListQueues answered ${response.status}`)
  return true
}

/** Starts ElasticMQ and waits until it answers. */
export const start = async (options: { readonly deadlineMs?: number } = {}): Promise<Elasticmq> => {
  const { deadlineMs = 60_000 } = options
  const run = engine()
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const directory = temporaryDirectory("elasticmq")
  const file = join(directory, "elasticmq.conf")
  writeFileSync(file, configuration(port))
  const args = [...jvmFlags, "-Xmx512m", `-Dconfig.file=${file}`, "org.elasticmq.server.Main"]
  const server = new ServerProcess("ElasticMQ", join(directory, "server.log"), () => run.java("elasticmq", args))
  const serve = async (): Promise<void> => {
    await server.start()
    try {
      const giveUp = () => (server.running ? undefined : "the process ended")
      await eventually("ElasticMQ", deadlineMs, () => answers(endpoint), { giveUp })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${reason}\n--- end of its log ---\n${server.tail()}`, { cause: error })
    }
  }
  const stop = async (): Promise<void> => {
    await server.kill()
    deleteDirectory(directory)
  }
  try {
    await serve()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    endpoint,
    port,
    pid: () => server.pid,
    kill: () => server.kill(),
    freeze: () => server.freeze(),
    resume: () => server.resume(),
    restart: async () => {
      await server.kill()
      await serve()
    },
    stop
  }
}
