/**
 * What each fault does: inflicts, lasts, and heals.
 */

import type { Fault as SqsFault } from "../../src/testing/SqsProxy.ts"
import { runKafkaTool } from "../../test/support/Java.ts"
import type { ChaosSite } from "./ChaosSite.ts"
import { topics } from "./configuration.ts"
import type { FaultName, Step } from "./schedule.ts"

type Run = (site: ChaosSite, step: Step) => Promise<void>

const pass = { _tag: "Pass" } as const
const refuse = { _tag: "Refuse" } as const
const mostPartitions = 30
const wholeDeadlineMs = 60_000

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

const restarted: (signal: "SIGTERM" | "SIGKILL", outage: boolean) => Run = (signal, outage) => async (site, step) => {
  if (outage) {
    await site.kafka(refuse)
    await lasting(step.holdMs / 2)
  }
  await site.endService(signal)
  await lasting(500)
  await site.startService()
  if (outage) {
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

const bothDown: Run = async (site, { holdMs }) => {
  await Promise.all([site.kafka(refuse), site.sqs.set(refuse)])
  await lasting(holdMs)
  await Promise.all([site.kafka(pass), site.sqs.set(pass)])
}

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
  "sqs-lost-replies": sqs({ _tag: "LoseReply", every: 2 }, ["SendMessageBatch", "DeleteMessage"]),
  "sqs-wrong-checksums": sqs({ _tag: "CorruptMd5" }),
  "both-down": bothDown,
  "service-restart": restarted("SIGTERM", false),
  "service-restart-in-outage": restarted("SIGTERM", true),
  "service-kill": restarted("SIGKILL", false),
  "service-kill-in-outage": restarted("SIGKILL", true),
  "partitions-added": addPartitions,
  "topic-deleted": deleteTopic
}
