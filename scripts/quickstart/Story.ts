/**
 * The story: calm, an outage, recovery, a second outage with a restart in the middle, and the account.
 */

import { eventually } from "../../test/support/eventually.ts"
import { hasJars, kafkaVersion } from "../../test/support/Jars.ts"
import { type Account, account, type DeadLetter, deadLetters, parkedMessages } from "./account.ts"
import { oversizedEvent } from "./adEvents.ts"
import { replayRate, topic, topicLimitBytes } from "./configuration.ts"
import { Load } from "./Load.ts"
import { count, type Screen, time } from "./Screen.ts"
import type { Site } from "./Site.ts"
import { Watch } from "./Watch.ts"

const rate = 1000
const warmUpMs = 500
const calmMs = 4000
const outageMs = 6000
const secondOutageMs = 2500
const afterwardsMs = 1500
const replayDeadlineMs = 60_000
const oversizedBytes = 100 * 1024

export interface Told {
  readonly load: Load
  readonly watch: Watch
  readonly account: Account
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export class Story {
  readonly #screen: Screen
  readonly #site: Site
  readonly #load: Load
  #watch: Watch | undefined

  constructor(screen: Screen, site: Site) {
    this.#screen = screen
    this.#site = site
    this.#load = new Load(site.base, rate, site.token)
  }

  async tell(): Promise<Told> {
    await this.#start()
    const watch = new Watch(this.#site)
    this.#watch = watch
    try {
      await this.#calm()
      const oversized = await this.#firstOutage(watch)
      await this.#recovery(watch, oversized)
      await this.#secondOutage(watch)
      const result = await this.#account(watch)
      return { load: this.#load, watch, account: result }
    } finally {
      watch.stop()
    }
  }

  /** Stops asking and publishing, whatever state the story is in. */
  abandon(): void {
    this.#watch?.stop()
    this.#load.stop().catch(() => undefined)
    this.#screen.quiet()
  }

  async #start(): Promise<void> {
    const screen = this.#screen
    const site = this.#site
    screen.step(1, "Start")
    const from = performance.now()
    const first = hasJars("kafka") ? "" : " (fetched once, about 60 MB)"
    await screen.live(() => `Kafka ${kafkaVersion}${first}: ${time(performance.now() - from)}`, site.startKafka())
    const limit = `records up to ${topicLimitBytes / 1024} KiB`
    screen.good(`Kafka ${kafkaVersion} on ${site.broker.address} after ${time(performance.now() - from)}`)
    screen.detail(`one real broker; topic ${topic}, 6 partitions, ${limit}`)
    await site.startSqs()
    screen.good(`SQS on ${site.sqs.endpoint}`)
    screen.detail("fauxqs, an emulator inside this process")
    const serviceFrom = performance.now()
    await screen.live(() => "Spillway", site.startService())
    screen.good(`Spillway on ${site.base} after ${time(performance.now() - serviceFrom)}`)
    screen.detail("bun src/main.ts serve, a process of its own")
    await eventually("the service to see Kafka", 20_000, async () => {
      const status = await site.service.status()
      return status?.health.readiness === "accepting" ? true : undefined
    })
  }

  async #calm(): Promise<void> {
    const load = this.#load
    this.#screen.step(2, `Publish ad events over HTTP, about ${count(rate)} records/s, from here to the end`)
    load.start()
    await this.#screen.live(() => this.#now(), pause(warmUpMs))
    load.phase = "before"
    await this.#screen.live(() => this.#now(), pause(calmMs))
    const p99 = time(load.latency("before", 0.99) ?? 0)
    this.#screen.good(`${count(load.counts.delivered)} records delivered, each answered with its partition and offset`)
    this.#screen.detail(
      `single POSTs and NDJSON; p99 ${p99}, not counting the first ${time(warmUpMs)} while connections open`
    )
  }

  /** Kills Kafka, and tells when the first record was durable elsewhere. */
  async #kill(watch: Watch): Promise<{ readonly at: number; readonly epoch: number }> {
    const load = this.#load
    load.firstDivertedAt = undefined
    load.phase = "during"
    const at = performance.now()
    const epoch = Date.now()
    await this.#site.broker.kill()
    const firstAt = await this.#screen.live(
      () => this.#now(),
      eventually("a first diverted record", 15_000, () => load.firstDivertedAt, { everyMs: 10 })
    )
    this.#screen.good(`first record diverted to SQS ${time(firstAt - at)} after the kill`)
    await eventually("the circuit breaker to open", 15_000, () => (watch.breaker === "open" ? true : undefined))
    const breaker = watch.status?.connections[0]?.breaker
    this.#screen.good(`circuit breaker open after ${time(Math.max(0, (breaker?.since ?? epoch) - epoch))}`)
    if (breaker !== undefined && breaker.reason !== "") this.#screen.detail(breaker.reason)
    return { at, epoch }
  }

  async #firstOutage(watch: Watch): Promise<string> {
    const load = this.#load
    const screen = this.#screen
    screen.step(3, "Kill Kafka (SIGKILL) under load")
    const before = { ...load.counts }
    const { at } = await this.#kill(watch)
    const oversized = oversizedEvent(oversizedBytes)
    const answer = await load.publish(oversized)
    if (answer?.fate !== "diverted") throw new Error(`the oversized event was ${answer?.fate}, not diverted`)
    screen.good(
      `an event of ${oversizedBytes / 1024} KiB, more than the topic takes, is diverted too; more of it below`
    )
    const from = performance.now()
    const divertedAt = load.counts.diverted
    await screen.live(() => this.#now(), pause(Math.max(1000, outageMs - (from - at))))
    const speed = ((load.counts.diverted - divertedAt) / (performance.now() - from)) * 1000
    const diverted = load.counts.diverted - before.diverted
    const refused = load.counts.refused - before.refused
    screen.good(
      `${time(performance.now() - at)} without Kafka: ${count(diverted)} records diverted, ${refused} refused`
    )
    const p99 = time(load.latency("during", 0.99) ?? 0)
    screen.detail(`${count(speed)} records/s answered 202, p99 ${p99}, ${parkedMessages(this.#site.sqs)} SQS messages`)
    return oversized.id
  }

  async #recovery(watch: Watch, oversized: string): Promise<void> {
    const screen = this.#screen
    screen.step(4, "Restart Kafka")
    await this.#restartKafka()
    await this.#replayed(watch)
    const dead = await eventually("the oversized event in the dead-letter queue", 20_000, async () =>
      (await deadLetters(this.#site.sqs)).find(({ id }) => id === oversized)
    )
    this.#showDeadLetter(dead)
    await screen.live(() => this.#now(), pause(afterwardsMs))
  }

  async #restartKafka(): Promise<void> {
    const from = performance.now()
    await this.#screen.live(() => `Kafka is starting; ${this.#now()}`, this.#site.broker.restart())
    this.#screen.good(`Kafka serves again after ${time(performance.now() - from)}`)
  }

  async #replayed(watch: Watch): Promise<void> {
    const load = this.#load
    const screen = this.#screen
    const { sqs } = this.#site
    const from = performance.now()
    const redelivered = watch.redelivered
    watch.topReplayRate = 0
    const closed = eventually("the circuit breaker to close", 30_000, () =>
      watch.breaker === "closed" ? true : undefined
    )
    await screen.live(() => this.#now(), closed)
    load.phase = "after"
    screen.good(`circuit breaker closed ${time(performance.now() - from)} later: new records go to Kafka again`)
    const empty = eventually(
      "the fallback queue to be empty",
      replayDeadlineMs,
      () => (parkedMessages(sqs) === 0 && watch.breaker === "closed" ? true : undefined),
      { everyMs: 100 }
    )
    await screen.live(() => `${count(parkedMessages(sqs))} SQS messages left; ${this.#now()}`, empty)
    await watch.refresh()
    const done = watch.redelivered - redelivered
    screen.good(`queue empty after ${time(performance.now() - from)}: ${count(done)} records redelivered`)
    screen.detail(
      `paced: ${count(watch.topReplayRate)} records/s at the most (retry.rate is ${count(replayRate)}), new records first`
    )
  }

  #showDeadLetter({ id, message, reason }: DeadLetter): void {
    this.#screen.good(`the oversized event is in the dead-letter queue: ${reason}`)
    this.#screen.detail(`${id}: ${message}`)
  }

  async #secondOutage(watch: Watch): Promise<void> {
    const screen = this.#screen
    const site = this.#site
    screen.step(5, "Kill Kafka again, and end Spillway (SIGTERM) in the middle of it")
    const before = { ...this.#load.counts }
    await this.#kill(watch)
    await screen.live(() => this.#now(), pause(secondOutageMs))
    await watch.refresh()
    const lines: Array<string> = []
    const heard = site.service.onLine(line => lines.push(line))
    const from = performance.now()
    const { code, signal } = await screen.live(() => "Spillway is shutting down", site.service.terminate(20_000))
    heard()
    const summary = lines.find(line => /shutdown complete/.test(line))
    if (code !== 0) throw new Error(`the service ended with ${signal ?? `code ${code}`}\n${site.service.tail()}`)
    screen.good(`Spillway left with exit code 0 after ${time(performance.now() - from)}, its buffer in SQS`)
    if (summary !== undefined) screen.detail(summary.replace(/^.*?(?=shutdown complete)/, ""))
    await screen.live(() => "Spillway is starting", site.startService())
    const refused = this.#load.counts.refused - before.refused
    screen.good(`Spillway is back, with Kafka still down: ${count(refused)} records refused meanwhile`)
    screen.detail("their publisher got no answer or an error, so it knows; they do not count as published")
    await this.#restartKafka()
    await this.#replayed(watch)
    await screen.live(() => this.#now(), pause(afterwardsMs))
  }

  async #account(watch: Watch): Promise<Account> {
    const load = this.#load
    const screen = this.#screen
    const { kafka, sqs } = this.#site
    screen.step(6, "Account: read the whole topic back with kafkajs's consumer and compare ids")
    await load.stop()
    await eventually("the fallback queue to be empty", replayDeadlineMs, () =>
      parkedMessages(sqs) === 0 ? true : undefined
    )
    await watch.refresh()
    const found = await screen.live(() => "reading", account(kafka, sqs, load))
    screen.good(`${count(found.stored)} records in Kafka, ${found.deadLettered} in the dead-letter queue`)
    if (found.unanswered > 0) screen.detail(`${count(found.unanswered)} of them reached Kafka though unanswered`)
    return found
  }

  /** One line of what is going on now. */
  #now(): string {
    const { delivered, diverted, refused } = this.#load.counts
    const watch = this.#watch
    const parts = [`delivered ${count(delivered)}`, `diverted ${count(diverted)}`]
    if (watch !== undefined && diverted > 0) parts.push(`redelivered ${count(watch.redelivered)}`)
    if (refused > 0) parts.push(`refused ${count(refused)}`)
    return `${parts.join("  ")}  breaker ${watch?.breaker ?? "-"}`
  }
}
