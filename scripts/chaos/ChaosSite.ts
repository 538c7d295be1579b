/**
 * Everything under test, and everything around it: three brokers and an SQS behind proxies, the service, the library, the
 * load and the witness.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { appendFileSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
// For its patch of kafkajs, which otherwise warns of negative timeouts.
import "../../src/KafkaClient/brokerLink.ts"
import type { Status } from "../../src/Spillway.ts"
import { SqsProxy } from "../../src/testing/SqsProxy.ts"
import type { Fault as KafkaFault } from "../../src/testing/TcpProxy.ts"
import * as Elasticmq from "../../test/support/Elasticmq.ts"
import { eventually } from "../../test/support/eventually.ts"
import { guardProcess, releaseProcess } from "../../test/support/Guard.ts"
import * as Kafka from "../../test/support/Kafka.ts"
import { freePort } from "../../test/support/ports.ts"
import { ServiceProcess } from "../quickstart/ServiceProcess.ts"
import { configuration, topics } from "./configuration.ts"
import { HttpLoad, Meter } from "./HttpLoad.ts"
import { Ledger, Ledgers } from "./Ledger.ts"
import { LibraryProcess } from "./LibraryProcess.ts"
import { QueueWitness } from "./QueueWitness.ts"
import { Tally } from "./Tally.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
/** Records per second. */
const rates = { service: 250, doomed: 20, library: 150 }
const partitions = 6
/** The service's shutdown budget is 10 s. */
const endDeadlineMs = 15_000

export type RuntimeName = "bun" | "deno" | "binary"
export type SqsName = "fauxqs" | "elasticmq"

export interface SiteOptions {
  readonly runtime: RuntimeName
  readonly sqs: SqsName
  /** For logs; kept when the run fails. */
  readonly directory: string
}

/** What `npm run build` makes. */
export const binary = join(root, "dist/spillway")
const bin = (name: string): string => join(root, "node_modules/.bin", name)
const scriptRuntime = (runtime: RuntimeName): ReadonlyArray<string> =>
  runtime === "deno" ? [bin("deno"), "run", "-A", "--no-check"] : [process.execPath]

/** fauxqs in a process of its own; it ends with its standard input. */
const startFauxqs = (): Promise<{ readonly endpoint: string; readonly stop: () => Promise<void> }> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(process.execPath, [join(root, "bench/sqsServer.ts")], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"]
    })
    const { pid } = child
    if (pid !== undefined) guardProcess(pid)
    const ended = new Promise<void>(done => {
      child.once("close", () => {
        if (pid !== undefined) releaseProcess(pid)
        done()
        reject(new Error("fauxqs ended"))
      })
    })
    const stop = () => {
      child.kill("SIGKILL")
      return ended
    }
    child.stdout?.on("data", chunk => resolve({ endpoint: String(chunk).trim(), stop }))
  })

export class ChaosSite {
  readonly startedAt = performance.now()
  /** `performance.now()` of the fault. */
  struckAt = 0
  readonly service = new Ledger("h", topics.service)
  readonly doomed = new Ledger("d", topics.doomed)
  readonly library = new Ledger("l", topics.library)
  readonly ledgers = new Ledgers([this.service, this.doomed, this.library])
  readonly meters = [new Meter(), new Meter(), new Meter()] as const
  readonly tally = new Tally()
  readonly witness: QueueWitness
  readonly cluster: Kafka.KafkaCluster
  readonly sqs: SqsProxy
  /** Base URL of the SQS behind the proxy. */
  readonly sqsBehind: string
  readonly #stopSqs: () => Promise<void>
  readonly #options: SiteOptions
  readonly #base: string
  readonly #serviceConfig: string
  #process: ServiceProcess | undefined
  #libraryProcess: LibraryProcess | undefined
  #loads: ReadonlyArray<HttpLoad> = []
  #poll: ReturnType<typeof setTimeout> | undefined
  #closed = false

  private constructor(
    options: SiteOptions,
    cluster: Kafka.KafkaCluster,
    sqs: SqsProxy,
    behind: { readonly endpoint: string; readonly stop: () => Promise<void> },
    port: number
  ) {
    this.#options = options
    this.cluster = cluster
    this.sqs = sqs
    this.sqsBehind = behind.endpoint
    this.#stopSqs = behind.stop
    this.#base = `http://127.0.0.1:${port}`
    this.#serviceConfig = join(options.directory, "service.yaml")
    this.witness = new QueueWitness(this.ledgers, line => this.log("sqs", line))
    sqs.onCall(call => this.witness.onCall(call))
    const places = { kafka: cluster.secure?.bootstrap ?? [], sqs: sqs.endpoint }
    const ofService = configuration({ ...places, port, topics: [topics.service, topics.doomed] })
    writeFileSync(this.#serviceConfig, ofService)
    writeFileSync(this.libraryConfig, configuration({ ...places, port: 0, topics: [topics.library] }))
  }

  static async start(options: SiteOptions): Promise<ChaosSite> {
    mkdirSync(options.directory, { recursive: true })
    const [cluster, behind] = await Promise.all([
      Kafka.start({
        brokers: 3,
        proxied: true,
        topics: Object.values(topics).map(name => ({ name, partitions }))
      }),
      options.sqs === "elasticmq" ? Elasticmq.start() : startFauxqs()
    ])
    const sqs = await SqsProxy.start({ upstream: behind.endpoint })
    const site = new ChaosSite(options, cluster, sqs, behind, await freePort())
    await site.startService()
    return site
  }

  get libraryConfig(): string {
    return join(this.#options.directory, "library.yaml")
  }

  log(file: string, line: string): void {
    const at = ((performance.now() - this.startedAt) / 1000).toFixed(3)
    appendFileSync(join(this.#options.directory, `${file}.log`), `${at} ${line}\n`)
  }

  /** Load from both, from now on. */
  startLoad(): void {
    const load = (ledger: Ledger, rate: number, meter: Meter) =>
      new HttpLoad({
        base: this.#base,
        ledger,
        rate,
        meter,
        startedAt: this.startedAt,
        log: line => this.log("answers", line)
      })
    const [ofService, ofDoomed, ofLibrary] = this.meters
    this.#loads = [load(this.service, rates.service, ofService), load(this.doomed, rates.doomed, ofDoomed)]
    for (const one of this.#loads) one.start()
    this.#libraryProcess = new LibraryProcess({
      runtime: scriptRuntime(this.#options.runtime),
      configFile: this.libraryConfig,
      ledger: this.library,
      rate: rates.library,
      meter: ofLibrary,
      startedAt: this.startedAt,
      onStatus: status => this.tally.observe(status),
      log: line => this.log("library", line)
    })
    const poll = async (): Promise<void> => {
      await this.status()
      if (!this.#closed) this.#poll = setTimeout(() => void poll(), 100)
    }
    void poll()
  }

  async stopLoad(): Promise<void> {
    await Promise.all([...this.#loads.map(load => load.stop()), this.#libraryProcess?.stopLoad()])
  }

  async status(): Promise<Status | undefined> {
    const status = await this.#process?.status()
    if (status !== undefined) this.tally.observe(status)
    return status
  }

  async startService(): Promise<void> {
    const { directory, runtime } = this.#options
    const command = runtime === "binary" ? [binary] : [...scriptRuntime(runtime), join(root, "src/main.ts")]
    const onLine = (line: string) => this.log("service", line)
    this.log("service", `starting from ${directory}`)
    this.#process = await ServiceProcess.start(this.#serviceConfig, this.#base, { command, onLine })
  }

  /**
   * What it had received and not settled when it is killed may be in Kafka and come again. An orderly end leaves nothing
   * of the kind, and its counters say what was unknown: they are asked for to the last.
   */
  async endService(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const service = this.#process
    await this.status()
    if (signal === "SIGKILL") {
      await service?.kill()
      return this.witness.ended([this.service, this.doomed])
    }
    let over = false
    const watch = async (): Promise<void> => {
      while (!over) {
        await this.status()
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    }
    const end = async () => {
      try {
        return await service?.terminate(endDeadlineMs)
      } finally {
        over = true
      }
    }
    const [ended] = await Promise.all([end(), watch()])
    this.log("service", `ended with ${ended?.signal ?? `code ${ended?.code}`}`)
  }

  /** The fault begins now: finding its victim does not count. */
  strike(): void {
    this.witness.firstStoreAt = undefined
    this.struckAt = performance.now()
  }

  /** The same for every broker's proxy, or for one. */
  async kafka(fault: KafkaFault, broker?: number): Promise<void> {
    const some = broker === undefined ? this.cluster.proxies : this.cluster.proxies.slice(broker, broker + 1)
    await Promise.all(some.map(proxy => proxy.set(fault)))
  }

  /** Every broker is there and every replica in sync: the next one may go. */
  async whole(deadlineMs: number): Promise<void> {
    await this.cluster.settled(deadlineMs)
    await eventually("replicas in sync", deadlineMs, async () => {
      const described = await Promise.all(Object.values(topics).map(topic => this.cluster.describeTopic(topic)))
      const complete = described.every(({ partitions: all }) =>
        all.every(({ inSyncReplicas }) => inSyncReplicas.length === this.cluster.brokers.length)
      )
      return complete ? true : undefined
    })
  }

  /** Nothing is wrong any more: every broker runs, every proxy passes, the service runs and reaches Kafka. */
  async heal(deadlineMs: number): Promise<void> {
    await Promise.all([this.kafka({ _tag: "Pass" }), this.sqs.set({ _tag: "Pass" })])
    for (const broker of this.cluster.brokers) if (!broker.live) throw new Error(`broker ${broker.id} is not running`)
    await this.whole(deadlineMs)
    if (this.#process?.running !== true) throw new Error(`the service ended by itself\n${this.#process?.tail()}`)
    if (this.#libraryProcess?.running === false) throw new Error("the library's process ended by itself")
    await eventually("the service to be well", deadlineMs, async () => {
      const status = await this.status()
      // What the last store into the queue met is only forgotten at the next one: degraded for that alone will do.
      const closed = status?.connections.every(({ breaker }) => breaker.state === "closed")
      if (closed === true && status?.health.readiness !== "refusing") return true
      throw new Error(status?.health.reasons.join("; ") ?? "it does not answer")
    })
  }

  /** The end of both processes, in order. */
  async endProcesses(): Promise<void> {
    await Promise.all([this.endService("SIGTERM"), this.#libraryProcess?.end()])
  }

  /** The brokers' logs, next to the others. */
  keepLogs(): void {
    for (const { id, logFile } of this.cluster.brokers) {
      copyFileSync(logFile, join(this.#options.directory, `broker-${id}.log`))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#poll)
    this.#libraryProcess?.kill()
    await this.#process?.kill()
    await Promise.allSettled([this.cluster.stop(), this.sqs.stop(), this.#stopSqs()])
  }
}
