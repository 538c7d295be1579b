/**
 * The real Kafka: kafkajs's connections below, Spillway's own Produce request, metadata and idempotence above.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { writeChecksum } from "../internal/batchLayout.ts"
import { largeBatchBytes } from "../internal/bodyChecksum.ts"
import { BufferPool } from "../internal/bufferPool.ts"
import * as KafkaErrors from "../internal/kafkaErrors.ts"
import * as Protocol from "../internal/kafkaProtocol.ts"
import { ProducerIdentity } from "../internal/producerIdentity.ts"
import {
  KafkaClient,
  KafkaError,
  type ProduceBatch,
  type ProduceOutcome,
  type Service,
  type TopicMetadata
} from "../KafkaClient.ts"
import { BrokerPool, type PoolOptions } from "./brokerPool.ts"

export interface Options extends PoolOptions {
  /** Stamp batches for idempotent producing where the cluster allows it. */
  readonly idempotent: boolean
}

/** What is kept back from an attempt's time for the broker's answer to travel, as a share. */
const replicationShare = 0.9

/** Most memory of requests that is kept for the next ones, bytes: the room of a few requests of many small batches. */
const pooledFrameBytes = 16 * 1024 * 1024

type Done = (outcomes: ReadonlyArray<ProduceOutcome>) => void

/** The batches of one request: those of one leader, and large ones apart, for they have a connection of their own. */
interface Group {
  readonly address: string
  readonly large: boolean
  readonly batches: Array<ProduceBatch>
}

type Failed = Extract<ProduceOutcome, { _tag: "Failed" }>

const failed = (error: KafkaError): Failed => ({ _tag: "Failed", error })

class Driver {
  readonly #idempotent: boolean
  readonly #pool: BrokerPool
  readonly #frames = new BufferPool(pooledFrameBytes)
  /** Topic to leader by partition. */
  readonly #leaders = new Map<string, ReadonlyArray<number>>()
  /** Large batches on their way. */
  readonly #large = new Set<ProduceBatch>()
  /** Once the cluster has given one, or has refused to (then there is no current one). */
  #identity: { readonly current: ProducerIdentity | undefined } | undefined
  #identifying: Promise<ProducerIdentity | undefined> | undefined

  constructor(options: Options) {
    this.#idempotent = options.idempotent
    this.#pool = new BrokerPool(options)
  }

  close(): void {
    this.#pool.close()
  }

  async metadata(topics: ReadonlyArray<string>, timeoutMs: number): Promise<ReadonlyArray<TopicMetadata>> {
    const answer = await this.#pool.askAny(timeoutMs, {
      apiKey: Protocol.apiKeys.metadata,
      apiName: "Metadata",
      newest: Protocol.newestVersions.metadata,
      body: Protocol.metadataBody(topics),
      read: Protocol.readMetadata
    })
    this.#pool.learn(answer.brokers)
    this.#frames.trim()
    return answer.topics.map((topic): TopicMetadata => {
      // Code 5 on the topic as a whole: it is being created and has no leaders yet.
      if (topic.errorCode !== 0) {
        return { _tag: "TopicFailed", topic: topic.topic, error: KafkaErrors.fromCode(topic.errorCode) }
      }
      const leaders: Array<number> = []
      for (const partition of topic.partitions) leaders[partition.partition] = partition.leader
      this.#leaders.set(topic.topic, leaders)
      return { _tag: "Topic", topic: topic.topic, partitions: topic.partitions }
    })
  }

  #identify(timeoutMs: number): Promise<ProducerIdentity | undefined> {
    this.#identifying ??= this.#pool
      .askAny(timeoutMs, {
        apiKey: Protocol.apiKeys.initProducerId,
        apiName: "InitProducerId",
        newest: Protocol.newestVersions.initProducerId,
        body: Protocol.initProducerIdBody(),
        read: Protocol.readInitProducerId
      })
      .then(answer => {
        if (answer.errorCode === 0) return new ProducerIdentity(answer.producerId, answer.epoch)
        const error = KafkaErrors.fromCode(answer.errorCode)
        // The cluster forbids idempotent producing: go on without it.
        if (error.class === "Permanent" || error.reason === "UNSUPPORTED_VERSION") return undefined
        throw error
      })
      .then(current => {
        this.#identity = { current }
        return current
      })
      .finally(() => {
        this.#identifying = undefined
      })
    return this.#identifying
  }

  /** Calls `done` once, within `timeoutMs`. What it needs to know first is usually known: then the bytes leave at once. */
  send(batches: ReadonlyArray<ProduceBatch>, timeoutMs: number, done: Done): void {
    const identified = !this.#idempotent || this.#identity !== undefined || !batches.some(batch => batch.idempotent)
    if (identified && batches.every(batch => this.#leaders.has(batch.topic))) {
      return this.#attemptAll(batches, timeoutMs, this.#identity?.current, new Map(), done)
    }
    const endsAt = performance.now() + timeoutMs
    const left = () => Math.max(1, endsAt - performance.now())
    const outcomes = new Map<ProduceBatch, ProduceOutcome>()
    this.#prepare(batches, left, outcomes).then(
      identity => this.#attemptAll(batches, left(), identity, outcomes, done),
      cause => {
        const error = cause instanceof KafkaError ? cause : KafkaErrors.fromThrown(cause, false, false)
        done(batches.map(() => failed(error)))
      }
    )
  }

  occupied(topic: string, partition: number): boolean {
    for (const batch of this.#large) if (batch.partition === partition && batch.topic === topic) return true
    return false
  }

  /** Finds out what a request needs to know; notes the batches whose topic the cluster does not describe. */
  async #prepare(
    batches: ReadonlyArray<ProduceBatch>,
    left: () => number,
    outcomes: Map<ProduceBatch, ProduceOutcome>
  ): Promise<ProducerIdentity | undefined> {
    const unseen = new Set(batches.map(batch => batch.topic).filter(topic => !this.#leaders.has(topic)))
    if (unseen.size > 0) {
      for (const topic of await this.metadata(Array.from(unseen), left())) {
        if (topic._tag === "Topic") continue
        for (const batch of batches) if (batch.topic === topic.topic) outcomes.set(batch, failed(topic.error))
      }
    }
    if (!this.#idempotent || !batches.some(batch => batch.idempotent)) return undefined
    return this.#identity === undefined ? this.#identify(left()) : this.#identity.current
  }

  /** One request over each connection, for the batches without an outcome; `done` once all have come to something. */
  #attemptAll(
    batches: ReadonlyArray<ProduceBatch>,
    timeoutMs: number,
    identity: ProducerIdentity | undefined,
    outcomes: Map<ProduceBatch, ProduceOutcome>,
    done: Done
  ): void {
    const groups = new Map<string, Group>()
    for (const batch of batches) {
      if (outcomes.has(batch)) continue
      const leaders = this.#leaders.get(batch.topic)
      if (leaders !== undefined && batch.partition >= leaders.length) {
        // Not an outage, however long one waits: the topic has no such partition.
        outcomes.set(batch, failed(KafkaErrors.fromCode(3)))
        continue
      }
      const address = this.#pool.addressOf(leaders?.[batch.partition] ?? -1)
      if (address === undefined) {
        outcomes.set(batch, failed(KafkaErrors.noLeader(batch.topic, batch.partition)))
        continue
      }
      const large = batch.bytes.length >= largeBatchBytes
      const connection = large ? `${address} large` : address
      const same = groups.get(connection)
      if (same === undefined) groups.set(connection, { address, large, batches: [batch] })
      else same.batches.push(batch)
    }
    const finish: Done = all => {
      if (identity?.exhausted === true && this.#identity?.current === identity) this.#identity = undefined
      done(all)
    }
    const inOrder = () =>
      finish(batches.map(batch => outcomes.get(batch) ?? failed(KafkaErrors.noLeader(batch.topic, batch.partition))))
    let open = groups.size
    if (open === 0) return inOrder()
    for (const group of groups.values()) {
      // The usual case: whoever asks has sorted them by leader.
      if (group.batches.length === batches.length) return this.#attempt(group, timeoutMs, identity, finish)
      this.#attempt(group, timeoutMs, identity, found => {
        group.batches.forEach((batch, index) => {
          const outcome = found[index]
          if (outcome !== undefined) outcomes.set(batch, outcome)
        })
        if (--open === 0) inOrder()
      })
    }
  }

  /** One Produce request to one broker: calls `done` once, within `timeoutMs`. */
  #attempt(
    { address, batches, large }: Group,
    timeoutMs: number,
    identity: ProducerIdentity | undefined,
    done: Done
  ): void {
    let link = this.#pool.link(address, large)
    let written = false
    let open = true
    let release = () => {}
    if (large) for (const batch of batches) this.#large.add(batch)
    const end = (outcomes: ReadonlyArray<ProduceOutcome>) => {
      open = false
      if (large) for (const batch of batches) this.#large.delete(batch)
      clearTimeout(timer)
      done(outcomes)
    }
    const fail = (errorOf: (batch: ProduceBatch) => KafkaError) => {
      if (open) end(batches.map(batch => this.#refused(batch, errorOf(batch), identity)))
    }
    const failBy = (cause: unknown) => fail(batch => KafkaErrors.fromThrown(cause, written, batch.stamp !== undefined))
    const timer = setTimeout(() => {
      if (!open) return
      // A broker that does not even answer "timed out" is frozen or unreachable: start afresh next time. That may be from
      // within `done`.
      link.drop(undefined)
      fail(batch => KafkaErrors.attemptTimeout(written, batch.stamp !== undefined, timeoutMs))
    }, timeoutMs)
    /** They are another's by now, who may have them in the same memory, and all that could come of it is a copy. */
    const over = () => {
      if (batches.every(({ settled }) => settled)) fail(() => KafkaErrors.attemptTimeout(false, false, timeoutMs))
      return !open
    }
    const call = () => {
      if (over()) return
      const apiVersion = link.version(Protocol.apiKeys.produce, Protocol.newestVersions.produce)
      if (apiVersion === undefined) return fail(() => KafkaErrors.fromCode(35))
      const answered = (payload: Uint8Array) => {
        if (!open) return
        let outcomes: ReadonlyArray<ProduceOutcome>
        try {
          outcomes = this.#settle(batches, Protocol.readProduce(payload, apiVersion), identity)
        } catch (cause) {
          return failBy(cause)
        }
        // The broker has read all of the request. Without an answer the socket may still be reading its memory.
        release()
        end(outcomes)
      }
      const pieces = (correlationId: number) => {
        // A broker that throttles may have kept them waiting for this.
        if (over()) return []
        for (const batch of batches) {
          if (!batch.idempotent) continue
          if (identity === undefined) writeChecksum(batch.bytes, batch.bodyChecksum)
          else identity.stamp(batch)
        }
        written = true
        const timeout = Math.max(1, Math.floor(timeoutMs * replicationShare))
        const framed = Protocol.produceFrame(
          { correlationId, clientId: link.clientId, version: apiVersion, timeoutMs: timeout, batches },
          this.#frames
        )
        release = framed.release
        return framed.pieces
      }
      const request = {
        apiKey: Protocol.apiKeys.produce,
        apiName: "Produce",
        apiVersion,
        timeoutMs: timeoutMs * 2,
        pieces
      }
      try {
        link.call(request, answered, failBy)
      } catch (cause) {
        failBy(cause)
      }
    }
    const unconnected = (cause: unknown) => {
      // A broker may take one connection and refuse a second (`max.connections.per.ip`).
      const first = large ? this.#pool.link(address) : undefined
      if (first?.open !== true) return failBy(cause)
      link = first
      call()
    }
    if (link.open) call()
    else link.connect().then(call, unconnected)
  }

  /** Each batch by its own partition's answer; a partition the answer leaves out is unknown, never a success. */
  #settle(
    batches: ReadonlyArray<ProduceBatch>,
    answered: ReadonlyArray<Protocol.ProducedPartition>,
    identity: ProducerIdentity | undefined
  ): ReadonlyArray<ProduceOutcome> {
    const answers = (batch: ProduceBatch, one: Protocol.ProducedPartition | undefined): boolean =>
      one?.partition === batch.partition && one.topic === batch.topic
    return batches.map((batch, index): ProduceOutcome => {
      // Brokers answer in the order they were asked in, as far as anybody has seen.
      const same = answered[index]
      const answer = answers(batch, same) ? same : answered.find(one => answers(batch, one))
      if (answer === undefined) {
        return this.#refused(batch, KafkaErrors.unanswered(batch.stamp !== undefined), identity)
      }
      if (answer.errorCode === 0 || answer.errorCode === KafkaErrors.duplicateSequence) {
        identity?.delivered(batch)
        return { _tag: "Delivered", baseOffset: answer.errorCode === 0 ? answer.baseOffset : -1n }
      }
      if (KafkaErrors.asksForNewEpoch(answer.errorCode)) identity?.fenced(batch)
      const { message, culprits } = answer
      const error = KafkaErrors.fromCode(answer.errorCode, {
        message,
        culprits,
        idempotent: batch.stamp !== undefined,
        appended: answer.baseOffset >= 0n
      })
      return this.#refused(batch, error, identity)
    })
  }

  #refused(batch: ProduceBatch, error: KafkaError, identity: ProducerIdentity | undefined): Failed {
    if (error.class === "Unknown") batch.maybeWritten = true
    else identity?.refused(batch)
    return failed(error)
  }
}

/** A client that lives as long as the scope. Connects when first used: an unreachable cluster is no error here. */
export const make = (options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Driver(options)),
      driver => Effect.sync(() => driver.close())
    ),
    (driver): Service => ({
      send: (batches, timeoutMs, done) => driver.send(batches, timeoutMs, done),
      occupied: (topic, partition) => driver.occupied(topic, partition),
      produce: (batches, timeoutMs) =>
        Effect.async(resume => driver.send(batches, timeoutMs, outcomes => resume(Effect.succeed(outcomes)))),
      metadata: (topics, timeoutMs) =>
        Effect.tryPromise({
          try: () => driver.metadata(topics, timeoutMs),
          catch: cause => (cause instanceof KafkaError ? cause : KafkaErrors.fromThrown(cause, false, false))
        })
    })
  )

export const layer = (options: Options): Layer.Layer<KafkaClient> => Layer.scoped(KafkaClient, make(options))
