/**
 * From evidence to findings.
 */

import { createdRetentionSeconds } from "../sqsProvision.ts"
import { bucketRules } from "./bucketRules.ts"
import { catalogue, type Group, groups } from "./catalogue.ts"
import { configRules } from "./configRules.ts"
import type { BucketEvidence, Evidence, QueueEvidence } from "./evidence.ts"
import { kafkaRules } from "./kafkaRules.ts"
import { queueRules } from "./queueRules.ts"
import type { Result, Severity } from "./result.ts"
import { topicRules } from "./topicRules.ts"

const severities: ReadonlyArray<Severity> = ["error", "warning", "unchecked", "info", "ok"]

/** Retention of a queue in seconds; where it cannot be seen, the longest there is. */
const retentionOf = (queues: ReadonlyArray<QueueEvidence>, client: string, queueId: string): number => {
  const found = queues.find(queue => queue.client === client && queue.queueId === queueId)
  const text = found?.attributes._tag === "Seen" ? found.attributes.value.MessageRetentionPeriod : undefined
  return text === undefined ? createdRetentionSeconds : Number(text)
}

const topics = ({ clusters, config, queues }: Evidence): ReadonlyArray<Result> =>
  clusters.flatMap(({ cluster, connection }) => {
    if (cluster._tag !== "Seen") return []
    const { brokers, clock, topics: described } = cluster.value
    return described.flatMap(topic => {
      const output = Object.values(config.outputs).find(
        one => one.connection === connection && one.topic === topic.topic
      )
      if (output === undefined) return []
      const retry = Object.values(config.producers).find(producer => producer.output === output.name)?.retry
      const seconds = retry?.enabled === true ? retentionOf(queues, retry.clientName, retry.queueId) : undefined
      return topicRules(topic, {
        bootstrap: config.kafkaConnections[connection]?.brokers[0] ?? "",
        brokers,
        output,
        retry,
        aheadMs: clock._tag === "Seen" ? -clock.value.skewMs - clock.value.withinMs : undefined,
        queueRetentionMs: seconds === undefined ? undefined : seconds * 1000
      })
    })
  })

const bucket = (evidence: BucketEvidence, { config, queues }: Evidence): ReadonlyArray<Result> => {
  const users = Object.values(config.producers).flatMap(({ retry }) => {
    const { claimCheck } = retry
    const uses = retry.enabled && claimCheck?.bucket === evidence.bucket && claimCheck.clientName === evidence.client
    return uses ? [retry] : []
  })
  return bucketRules(evidence, {
    queueSeconds: Math.max(0, ...users.map(({ clientName, queueId }) => retentionOf(queues, clientName, queueId))),
    deadLetterSeconds: Math.max(
      0,
      ...users.map(({ clientName, deadLetterQueueId }) => retentionOf(queues, clientName, deadLetterQueueId))
    )
  })
}

/** Every result, by group, then what matters most first. */
export const diagnose = (evidence: Evidence): ReadonlyArray<Result> => {
  const results = [
    ...evidence.clusters.flatMap(cluster => kafkaRules(cluster, evidence.config, evidence.now)),
    ...topics(evidence),
    ...evidence.queues.flatMap(queue => queueRules(queue, evidence.config, evidence.queues)),
    ...evidence.buckets.flatMap(one => bucket(one, evidence)),
    ...configRules(evidence.config, evidence.disk)
  ]
  const rank = ({ code, severity }: Result): number =>
    groups.indexOf(groupOf(code)) * severities.length + severities.indexOf(severity)
  return results.sort((a, b) => rank(a) - rank(b))
}

export const groupOf = (code: Result["code"]): Group => catalogue[code].group

/** True when neither a broker, nor a queue, nor a bucket has answered anything, be it a refusal. */
export const reachedNothing = ({ buckets, clusters, queues }: Evidence): boolean =>
  clusters.every(
    ({ cluster, seeds }) => cluster._tag !== "Seen" && seeds.every(({ link }) => link._tag === "Unseen")
  ) &&
  queues.every(({ attributes }) => attributes._tag === "Unseen") &&
  buckets.every(({ tried }) => Object.values(tried).every(({ _tag }) => _tag === "Unseen"))
