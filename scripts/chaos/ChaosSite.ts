/**
 * Everything under test, and everything around it: three brokers and an SQS behind proxies, the service, the library, the
 * load and the witness.
 */
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
import * as FakeMetadata from "../../test/support/FakeMetadata.ts"
import * as Kafka from "../../test/support/Kafka.ts"
import { freePort } from "../../test/support/ports.ts"
import type { Fate } from "../quickstart/publishOverHttp.ts"
import { ServiceProcess } from "../quickstart/ServiceProcess.ts"
import { configuration, topics } from "./configuration.ts"
import * as Fauxqs from "./fauxqs.ts"
import { HttpLoad, Meter } from "./HttpLoad.ts"
import { flag, Ledger, Ledgers } from "./Ledger.ts"
import { LibraryProcess } from "./LibraryProcess.ts"
import { QueueWitness } from "./QueueWitness.ts"
import { recordsInSpool } from "./spoolFile.ts"
import { Tally } from "./Tally.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
/** Records per second. */
const rates = { service: 250, doomed: 20, library: 150 }
const partitions = 6
/** The service's shutdown budget is 10 s. */
const endDeadlineMs = 15_000

export type RuntimeName = "bun" | "deno" | "binary"
/** By signal, or by the service itself once EC2 says that the instance will go. */
export type End = "SIGTERM" | "SIGKILL" | "spot notice"
export type SqsName = "fauxqs" | "elasticmq"

export interface SiteOptions {
  readonly runtime: RuntimeName
  readonly sqs: SqsName
  /** For logs and spools; kept when the run fails. */
  readonly directory: string
}

/** What `npm run build` makes. */
export const binary = join(root, "dist/spillway")
const bin = (name: string): string => join(root, "node_modules/.bin", name)
const scriptRuntime = (runtime: RuntimeName): ReadonlyArray<string> =>
  runtime === "deno" ? [bin("deno"), "run", "-A", "--no-check"] : [process.execPath]

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
  readonly #behind: Fauxqs.SqsServer
  readonly #metadata: FakeMetadata.FakeMetadata
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
    behind: Fauxqs.SqsServer,
    metadata: FakeMetadata.FakeMetadata,
    port: number
  ) {
    this.#options = options
    this.cluster = cluster
    this.sqs = sqs
    this.sqsBehind = behind.endpoint
    this.#behind = behind
    this.#metadata = metadata
    this.#base = `http://127.0.0.1:${port}`
    this.#serviceConfig = join(options.directory, "service.yaml")
    this.witness = new QueueWitness(this.ledgers, line => this.log("sqs", line))
    sqs.onCall(call => this.witness.onCall(call))
    const places = { kafka: cluster.secure?.bootstrap ?? [], sqs: sqs.endpoint }
    const ofService = {
      ...places,
      port,
      topics: [topics.service, topics.doomed],
      spool: this.spools.service,
      metadata: metadata.endpoint
    }
    writeFileSync(this.#serviceConfig, configuration(ofService))
    const ofLibrary = { ...places, port: 0, topics: [topics.library], spool: this.spools.library }
    writeFileSync(this.libraryConfig, configuration(ofLibrary))
  }

  static async start(options: SiteOptions): Promise<ChaosSite> {
    mkdirSync(options.directory, { recursive: true })
    const [cluster, behind, metadata] = await Promise.all([
      Kafka.start({
        brokers: 3,
        proxied: true,
        topics: Object.values(topics).map(name => ({ name, partitions }))
      }),
      options.sqs === "elasticmq" ? Elasticmq.start() : Fauxqs.start(),
      FakeMetadata.start()
    ])
    const sqs = await SqsProxy.start({ upstream: behind.endpoint })
    const site = new ChaosSite(options, cluster, sqs, behind, metadata, await freePort())
    await site.startService()
    return site
  }

  get libraryConfig(): string {
    return join(this.#options.directory, "library.yaml")
  }

  /** Files of the spools. */
  get spools() {
    const { directory } = this.#options
    return { service: join(directory, "service-spool.db"), library: join(directory, "library-spool.db") }
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

  /** One large record to the service, on top of its load. */
  async flood(bytes: number): Promise<Fate> {
    return (await this.#loads[0]?.sendLarge(bytes)) ?? "refused"
  }

  /** Records on disk only, of both; undefined while one of them does not say. */
  async spooled(): Promise<number | undefined> {
    const [service, library] = [(await this.status())?.spool, this.#libraryProcess?.status?.spool]
    return service === undefined || library === undefined ? undefined : service.records + library.records
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
   * What it had received and not settled when it is killed may be in Kafka and come again; so may what lay in the spool,
   * unless there was nowhere to bring it (`cutOff`). An orderly end leaves nothing of the kind, and its counters say what
   * was unknown: they are asked for to the last.
   */
  async endService(how: End, cutOff = false): Promise<void> {
    const service = this.#process
    await this.status()
    if (how === "SIGKILL") {
      await service?.kill()
      this.#lookIntoSpool(cutOff)
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
      const { data } = this.#metadata
      const notice = { action: "terminate", time: new Date(Date.now() + 120_000).toISOString() }
      if (how === "spot notice") data.set("spot/instance-action", JSON.stringify(notice))
      try {
        return await (how === "SIGTERM" ? service?.terminate(endDeadlineMs) : service?.ended(endDeadlineMs))
      } finally {
        over = true
        data.clear()
      }
    }
    const [ended] = await Promise.all([end(), watch()])
    this.log("service", `ended with ${ended?.signal ?? `code ${ended?.code}`}`)
    if (ended?.code !== 0) throw new Error(`the service did not end in order on ${how}\n${service?.tail()}`)
  }

  #lookIntoSpool(cutOff: boolean): void {
    const records = recordsInSpool(this.spools.service)
    this.log("service", `killed with ${records.length} records in the spool`)
    for (const { error, id } of records) {
      const found = this.ledgers.find(id)
      if (error.startsWith("Unknown")) found?.ledger.mark(found.number, flag.unknown)
      if (!cutOff) found?.ledger.mark(found.number, flag.held)
    }
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

  /** Nothing is wrong any more: every broker runs, every proxy passes, and both say themselves that all is well. */
  async heal(deadlineMs: number): Promise<void> {
    await Promise.all([this.kafka({ _tag: "Pass" }), this.sqs.set({ _tag: "Pass" })])
    for (const broker of this.cluster.brokers) if (!broker.live) throw new Error(`broker ${broker.id} is not running`)
    await this.whole(deadlineMs)
    if (this.#process?.running !== true) throw new Error(`the service ended by itself\n${this.#process?.tail()}`)
    if (this.#libraryProcess?.running === false) throw new Error("the library's process ended by itself")
    const well = (who: string, status: () => Promise<Status | undefined> | Status | undefined) =>
      eventually(`${who} to be well`, deadlineMs, async () => {
        const health = (await status())?.health
        if (health?.readiness === "accepting") return true
        throw new Error(health?.reasons.join("; ") ?? "it does not answer")
      })
    await Promise.all([
      well("the service", () => this.status()),
      well("the library", () => this.#libraryProcess?.status)
    ])
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
    await Promise.allSettled([this.cluster.stop(), this.sqs.stop(), this.#behind.stop(), this.#metadata.close()])
  }
}
