/**
 * What each fault does: inflicts, lasts, and heals.
 */

import type { Fault as SqsFault } from "../../src/testing/SqsProxy.ts"
import { eventually } from "../../test/support/eventually.ts"
import { runKafkaTool } from "../../test/support/Java.ts"
import type { ChaosSite, End } from "./ChaosSite.ts"
import { topics } from "./configuration.ts"
import type { FaultName, Step } from "./schedule.ts"

type Run = (site: ChaosSite, step: Step) => Promise<void>

const pass = { _tag: "Pass" } as const
const refuse = { _tag: "Refuse" } as const
const mostPartitions = 30
const wholeDeadlineMs = 60_000
/** For something to lie in the spool, for it to be full, or to be drained. */
const spoolDeadlineMs = 30_000
const floodBytes = 64 * 1024

/** Those after which records must be durable elsewhere at once; others come slowly, or take SQS away as well. */
export const abrupt: ReadonlySet<FaultName> = new Set([
  "broker-kill",
  "broker-freeze",
  "controller-loss",
  "two-of-three-down",
  "kafka-refuse",
  "kafka-hang",
  "kafka-reset-mid-response",
  "kafka-lost-acks"
])

const lasting = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Dead for its clients at once: behind a proxy a dead broker would still accept connections. */
const kill = async (site: ChaosSite, indexes: ReadonlyArray<number>): Promise<void> => {
  await Promise.all(indexes.flatMap(index => [site.cluster.brokers[index]?.kill(), site.kafka(refuse, index)]))
}

const revive = async (site: ChaosSite, indexes: ReadonlyArray<number>): Promise<void> => {
  const dead = indexes.flatMap(index => site.cluster.brokers[index] ?? [])
  await Promise.all(dead.map(broker => broker.launch()))
  await Promise.all(indexes.map(index => site.kafka(pass, index)))
  await Promise.all(dead.map(broker => broker.ready()))
}

const killed: (which: (site: ChaosSite, step: Step) => Promise<ReadonlyArray<number>>) => Run =
  which => async (site, step) => {
    const indexes = await which(site, step)
    site.strike()
    await kill(site, indexes)
    await lasting(step.holdMs)
    await revive(site, indexes)
  }

const controllerOf = async (site: ChaosSite): Promise<number> => {
  const args = ["--bootstrap-server", site.cluster.bootstrap.join(","), "describe", "--status"]
  const { stdout } = await runKafkaTool("org.apache.kafka.tools.MetadataQuorumCommand", args)
  const id = Number(/LeaderId:\s+(\d+)/.exec(stdout)?.[1])
  const index = site.cluster.brokers.findIndex(broker => broker.id === id)
  if (index < 0) throw new Error(`no controller in ${stdout}`)
  return index
}

const proxied: (fault: Parameters<ChaosSite["kafka"]>[0]) => Run = fault => async (site, step) => {
  const broker = step.all ? undefined : step.broker
  await site.kafka(fault, broker)
  await lasting(step.holdMs)
  await site.kafka(pass, broker)
}

/** Kafka is away as well, or nobody would ask SQS for anything; it is back before SQS is, so that replay meets the fault too. */
const sqs: (fault: SqsFault, operations?: ReadonlyArray<string>) => Run = (fault, operations) => async (site, step) => {
  await site.sqs.set(fault, operations)
  await site.kafka(refuse)
  await lasting(step.holdMs)
  await site.kafka(pass)
  await lasting(step.holdMs / 2)
  await site.sqs.set(pass)
}

const restarted: (how: End, outage: (step: Step) => boolean) => Run = (how, outage) => async (site, step) => {
  const inOutage = outage(step)
  if (inOutage) {
    await site.kafka(refuse)
    await lasting(step.holdMs / 2)
  }
  await site.endService(how)
  await lasting(500)
  await site.startService()
  if (inOutage) {
    await lasting(step.holdMs / 2)
    await site.kafka(pass)
  }
}

const rolling: Run = async (site, { holdMs }) => {
  for (const [index, broker] of site.cluster.brokers.entries()) {
    await broker.shutdown()
    await site.kafka(refuse, index)
    await lasting(holdMs / 6)
    await revive(site, [index])
    await site.whole(wholeDeadlineMs)
  }
}

const addPartitions: Run = async (site, { holdMs }) => {
  for (const topic of [topics.service, topics.library]) {
    const { partitions } = await site.cluster.describeTopic(topic)
    if (partitions.length < mostPartitions) await site.cluster.addPartitions(topic, partitions.length + 3)
  }
  await lasting(holdMs)
}

const deleteTopic: Run = async (site, { holdMs }) => {
  const { partitions } = await site.cluster.describeTopic(topics.doomed)
  await site.cluster.deleteTopic(topics.doomed)
  await lasting(holdMs)
  await site.cluster.createTopic(topics.doomed, { partitions: partitions.length })
  // What was replayed between, or was still on its way, went with it.
  site.doomed.excusedBelow = site.doomed.count
}

const both = (site: ChaosSite, fault: typeof refuse | typeof pass) =>
  Promise.all([site.kafka(fault), site.sqs.set(fault)])

/** Kafka and SQS are away, and the service has something in its spool. */
const spooling = async (site: ChaosSite): Promise<void> => {
  await both(site, refuse)
  await eventually("something in the service's spool", spoolDeadlineMs, async () =>
    ((await site.status())?.spool?.records ?? 0) > 0 ? true : undefined
  )
}

const bothDown: Run = async (site, { holdMs }) => {
  await spooling(site)
  await lasting(holdMs)
  await both(site, pass)
}

/** It starts and goes on with neither. */
const endedSpooling: (how: End) => Run =
  how =>
  async (site, { holdMs }) => {
    await spooling(site)
    await lasting(holdMs / 2)
    await site.endService(how, true)
    await site.startService()
    await lasting(holdMs / 2)
    await both(site, pass)
  }

/** Its end comes while the spool's records are on their way to wherever they can go: Kafka, or at first SQS alone. */
const endedDraining: (how: End) => Run =
  how =>
  async (site, { all, holdMs }) => {
    await spooling(site)
    await lasting(holdMs)
    const drained = async () => {
      const spool = (await site.status())?.spool
      return spool === undefined ? 0 : spool.drained.kafka + spool.drained.queue
    }
    const before = await drained()
    await site.sqs.set(pass)
    if (all) await site.kafka(pass)
    const begun = async () => ((await drained()) > before ? true : undefined)
    await eventually("the spool to be drained", spoolDeadlineMs, begun, { everyMs: 5 })
    await site.endService(how)
    await site.startService()
    await site.kafka(pass)
  }

/** What finds no room is refused; what was taken is there. */
const spoolFull: Run = async (site, { holdMs }) => {
  await spooling(site)
  await eventually("the spool to be full", spoolDeadlineMs, async () => {
    const fates = await Promise.all([1, 2, 3, 4].map(() => site.flood(floodBytes)))
    const spool = (await site.status())?.spool
    return fates.includes("refused") && spool !== undefined && spool.bytes > spool.maxBytes / 2 ? true : undefined
  })
  await lasting(holdMs)
  await both(site, pass)
}

const never = () => false
const always = () => true

export const faults: Readonly<Record<FaultName, Run>> = {
  "broker-kill": killed(async (_, { broker }) => [broker]),
  "broker-freeze": async (site, { broker: index, holdMs }) => {
    const broker = site.cluster.brokers[index]
    broker?.freeze()
    await lasting(holdMs)
    broker?.resume()
    await site.cluster.settled()
  },
  "rolling-restart": rolling,
  "controller-loss": killed(async site => [await controllerOf(site)]),
  "two-of-three-down": killed(async (_, { broker }) => [0, 1, 2].filter(index => index !== broker)),
  "kafka-refuse": proxied(refuse),
  "kafka-hang": proxied({ _tag: "Hang" }),
  "kafka-reset-mid-response": proxied({ _tag: "ResetMidResponse" }),
  "kafka-lost-acks": proxied({ _tag: "LoseAck", of: "produce" }),
  "kafka-latency": proxied({ _tag: "Latency", ms: 300 }),
  "kafka-throttle": proxied({ _tag: "Throttle", bytesPerSecond: 20_000 }),
  "kafka-flap": proxied({ _tag: "Flap", downMs: 700, upMs: 700 }),
  "sqs-refuse": sqs(refuse),
  "sqs-hang": sqs({ _tag: "Hang" }),
  "sqs-throttling": sqs({ _tag: "Throttle" }),
  "sqs-denied": sqs({ _tag: "Deny" }),
  "sqs-errors": sqs({ _tag: "ServerError" }),
  "sqs-failed-entries": sqs({ _tag: "FailEntries", every: 2 }),
  // Not of receives: a message whose receive is lost stays hidden, which tells nothing new and takes its time.
  "sqs-lost-replies": sqs({ _tag: "LoseReply", every: 2 }, ["SendMessageBatch", "DeleteMessage", "DeleteMessageBatch"]),
  "sqs-wrong-checksums": sqs({ _tag: "CorruptMd5" }),
  "both-down": bothDown,
  "service-restart": restarted("SIGTERM", never),
  "service-restart-in-outage": restarted("SIGTERM", always),
  "service-kill": restarted("SIGKILL", never),
  "service-kill-in-outage": restarted("SIGKILL", always),
  "service-kill-while-spooling": endedSpooling("SIGKILL"),
  "service-kill-while-draining": endedDraining("SIGKILL"),
  "service-restart-while-spooling": endedSpooling("SIGTERM"),
  "service-restart-while-draining": endedDraining("SIGTERM"),
  "spool-full": spoolFull,
  "spot-notice": restarted("spot notice", ({ all }) => all),
  "partitions-added": addPartitions,
  "topic-deleted": deleteTopic
}
