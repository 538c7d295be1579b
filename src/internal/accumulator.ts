/**
 * Every record between `offer` and its outcome: plain state, no waiting, no Effect. It says which batches may go to
 * Kafka, which must be diverted, and which have run out of time; the Producer's fibers act on that.
 */
import type * as CircuitBreaker from "../CircuitBreaker.ts"
import { check as checkEncoding, type Encoding } from "../encoding/Encoding.ts"
import type { KafkaError, TopicMetadata } from "../KafkaClient.ts"
import { type Durability, PublishError } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"
import { BatchBuilder, type Callback, IdHeader } from "./batchBuilder.ts"
import { largeBatchBytes } from "./bodyChecksum.ts"
import { BufferPool } from "./bufferPool.ts"
import { attemptTimeout } from "./kafkaErrors.ts"
import { type Batch, Lane, tell } from "./lane.ts"
import { ownRecord } from "./ownRecord.ts"
import { type Balancer, Partitioner, type PartitionView } from "./partitioner.ts"
import { check as checkRecord } from "./recordCheck.ts"

/** How one topic is produced to. */
export interface TopicOptions {
  readonly topic: string
  readonly encoding: Encoding
  readonly balancer: Balancer
  /** Records that make a batch go at once although another request is in flight to the same broker. */
  readonly batchSize: number
  /** Most bytes of one batch of several records. */
  readonly batchBytes: number
  /** Longest a record waits for company while another request is in flight to the same broker, ms. */
  readonly idleTimeoutMs: number
  /** Budget for Kafka, from acceptance, ms. */
  readonly writeTimeoutMs: number
  readonly maxRecordBytes: number
  readonly maxInFlight: number
  readonly idHeader: string
}

export interface BufferOptions {
  readonly maxRecords: number
  readonly maxBytes: number
  /** How long a publish may wait for room, ms. */
  readonly maxWaitMs: number
}

/** Less time than this left, and an attempt would only make a record's fate unknown, ms. */
const shortestAttemptMs = 20
/**
 * A Produce request is closed at this size and the next one begun, bytes: with several on their way the broker works on
 * one while the next arrives, and answers come one by one. A larger batch goes alone.
 */
const requestBytes = 1024 * 1024
/**
 * A batch that reaches this size goes before the turn's end when its broker has nothing to do, bytes: the broker works on it
 * while callers go on offering. Smaller ones would make many requests of a few callers' records.
 */
const earlyBytes = 64 * 1024

interface Topic {
  readonly options: TopicOptions
  readonly idHeader: IdHeader
  readonly partitioner: Partitioner
  readonly lanes: Map<number, Lane>
  /** The same by partition, as far as the partitions are known: looked up for each record. */
  readonly byPartition: Array<Lane>
  /** 0 until the topic was seen. */
  partitionCount: number
  /** What the cluster last said of a topic it refused to describe. */
  refusal: KafkaError | undefined
  refusedSince: number
  readonly view: PartitionView
}

interface Waiting {
  readonly record: ProducerRecord
  readonly callback: Callback
  readonly index: number
  readonly until: number
}

const sizes = ["small", "large"] as const
type Size = (typeof sizes)[number]

/** One Produce request to one broker, or batches whose leader is to be found out. */
export interface Request {
  readonly leader: number
  /** A large one is one batch: whatever is small does not wait for its answer. */
  readonly size: Size
  readonly batches: ReadonlyArray<Batch>
}

/** What one `take` gives one broker, of each size. */
interface Dispatch {
  /** Requests in flight to it before. */
  readonly busy: number
  readonly requests: Array<Array<Batch>>
  /** Of the newest of them, bytes. */
  bytes: number
  /** A batch had to stay: what is behind it stays, too. */
  full: boolean
}

export interface Counters {
  accepted: number
  delivered: number
  diverted: number
  spooled: number
  /** Of the diverted and the spooled: may be in Kafka too. */
  divertedUnknown: number
  rejected: number
  failed: number
}

export class Accumulator {
  readonly counters: Counters = {
    accepted: 0,
    delivered: 0,
    diverted: 0,
    spooled: 0,
    divertedUnknown: 0,
    rejected: 0,
    failed: 0
  }
  readonly #topics = new Map<string, Topic>()
  readonly #active = new Set<Lane>()
  /** Requests to each broker. Large ones count apart: a broker that has only such is at once there for others. */
  readonly #inFlight = { small: new Map<number, number>(), large: new Map<number, number>() }
  readonly pool: BufferPool
  readonly #buffer: BufferOptions
  readonly #breaker: CircuitBreaker.Service
  readonly #now: () => number
  readonly #onWork: () => void
  readonly #onEnough: () => void
  #waiting: Array<Waiting> = []
  #waitingFrom = 0
  #closed = false
  #flushing = false
  #records = 0
  #bytes = 0
  /** Before this time no batch's time is over: partitions need not be looked through, which is dear with many of them. */
  #nextDue = Number.POSITIVE_INFINITY

  /**
   * @param onWork called whenever there may be something to `take`
   * @param onEnough called when it is worth the while at once; calls from within `take` and out of callbacks are possible
   * @param occupied somebody sends a large batch to the partition
   */
  constructor(
    topics: ReadonlyArray<TopicOptions>,
    buffer: BufferOptions,
    breaker: CircuitBreaker.Service,
    now: () => number,
    onWork: () => void,
    onEnough: () => void,
    occupied: (topic: string, partition: number) => boolean = () => false
  ) {
    this.#buffer = buffer
    this.pool = new BufferPool(Math.min(buffer.maxBytes, 64 * 1024 * 1024))
    this.#breaker = breaker
    this.#now = now
    this.#onWork = onWork
    this.#onEnough = onEnough
    for (const options of topics) {
      const lanes = new Map<number, Lane>()
      const byPartition: Array<Lane> = []
      this.#topics.set(options.topic, {
        options,
        idHeader: new IdHeader(options.idHeader),
        partitioner: new Partitioner(options.balancer),
        lanes,
        byPartition,
        partitionCount: 0,
        refusal: undefined,
        refusedSince: 0,
        view: {
          count: 0,
          usable: partition => {
            const lane = byPartition[partition]
            return lane !== undefined && lane.leader >= 0 && !breaker.avoids(options.topic, partition)
          },
          busy: partition => byPartition[partition]?.behindLarge === true || occupied(options.topic, partition),
          bytes: partition => byPartition[partition]?.sentBytes ?? 0
        }
      })
    }
  }

  get topics(): ReadonlyArray<string> {
    return Array.from(this.#topics.keys())
  }
  /** Records accepted and not settled. */
  get records(): number {
    return this.#records
  }
  /** Bytes they take. */
  get bytes(): number {
    return this.#bytes
  }
  /** Records of a topic that Kafka has not been asked to take yet, and those it is being asked to. */
  held(name: string): { readonly buffered: number; readonly inFlight: number } {
    let buffered = 0
    let inFlight = 0
    for (const lane of this.#topics.get(name)?.lanes.values() ?? []) {
      buffered += lane.writing
      for (const batch of lane.queue) buffered += batch.recordCount
      inFlight += lane.inFlight?.recordCount ?? 0
    }
    return { buffered, inFlight }
  }
  /** Publishes waiting for room. */
  get waiting(): number {
    return this.#waiting.length - this.#waitingFrom
  }
  get closed(): boolean {
    return this.#closed
  }
  /** Partitions the topic had when last seen; 0 when never. */
  partitionCount(topic: string): number {
    return this.#topics.get(topic)?.partitionCount ?? 0
  }
  /** Whether every topic's partitions are known. */
  get resolved(): boolean {
    for (const topic of this.#topics.values()) if (topic.partitionCount === 0) return false
    return true
  }

  /**
   * Takes a record in. The callback is told exactly once what became of it, also when it is refused here. The record's
   * bytes are the caller's again when this returns.
   *
   * @param index what the callback is told beside the outcome
   */
  offer(record: ProducerRecord, callback: Callback, index = 0): void {
    if (this.#closed) return this.#refuse(callback, index, closedError)
    const fault = checkRecord(record)
    if (fault !== undefined) return this.#refuse(callback, index, fault)
    const topic = this.#topics.get(record.topic)
    if (topic === undefined)
      return this.#refuse(callback, index, unknownTopic(record.topic, "no producer is configured for it"))
    if (topic.options.encoding !== "raw") {
      const { encoding } = topic.options
      const wrong = checkEncoding(encoding, record.value)
      if (wrong !== undefined) {
        const message = `value: not ${encoding}: ${wrong.message}`
        return this.#refuse(callback, index, new PublishError({ reason: "EncodingFailed", field: "value", message }))
      }
    }
    if (this.#full || this.waiting > 0) return this.#wait(record, callback, index)
    this.#admit(topic, record, callback, index)
  }

  get #full(): boolean {
    return this.#records >= this.#buffer.maxRecords || this.#bytes >= this.#buffer.maxBytes
  }

  #wait(record: ProducerRecord, callback: Callback, index: number): void {
    if (this.waiting >= this.#buffer.maxRecords) return this.#refuse(callback, index, overloadedError)
    this.#waiting.push({ record: ownRecord(record), callback, index, until: this.#now() + this.#buffer.maxWaitMs })
    this.#onWork()
  }

  #refuse(callback: Callback, index: number, error: PublishError): void {
    if (error.rejected) this.counters.rejected++
    else this.counters.failed++
    this.counters.accepted++
    tell(callback, index, error)
  }

  #admit(topic: Topic, record: ProducerRecord, callback: Callback, index: number): void {
    const now = this.#now()
    const { options } = topic
    if (topic.refusal !== undefined && now - topic.refusedSince >= options.writeTimeoutMs) {
      return this.#refuse(callback, index, rejection(topic.refusal, options.topic))
    }
    const { partition } = record
    const count = topic.partitionCount
    if (partition !== undefined && count > 0 && partition >= count) {
      const message = `partition: ${partition} does not exist, ${options.topic} has ${count}`
      return this.#refuse(callback, index, new PublishError({ reason: "InvalidRecord", field: "partition", message }))
    }
    const chosen = partition ?? (count === 0 ? -1 : topic.partitioner.choose(record.key, topic.view))
    const lane = topic.byPartition[chosen] ?? this.#lane(topic, chosen)
    let builder = lane.builder ?? this.#open(topic, lane, now)
    const timestamp = record.timestamp ?? now
    let taken = builder.append(record, timestamp, options.batchBytes, options.maxRecordBytes)
    if (taken === 0) {
      lane.seal(options.writeTimeoutMs)
      topic.partitioner.rotate()
      builder = this.#open(topic, lane, now)
      taken = builder.append(record, timestamp, options.batchBytes, options.maxRecordBytes)
    }
    if (taken < 0) {
      const message = `the record is larger than ${options.maxRecordBytes} bytes`
      return this.#refuse(callback, index, new PublishError({ reason: "RecordTooLarge", field: "value", message }))
    }
    builder.listen(callback, index)
    if (partition !== undefined) lane.partitionFixed = true
    this.counters.accepted++
    this.#records++
    this.#bytes += taken
    if (builder.count === 1) {
      lane.openedAt = now
      this.#due(now, topic)
      this.#active.add(lane)
      this.#onWork()
    } else if (builder.count === options.batchSize) this.#onWork()
    else if (builder.size >= earlyBytes && builder.size - taken < earlyBytes && this.#idle(lane)) this.#onEnough()
    if (builder.size > options.batchBytes) {
      // Larger than a batch by itself: what comes next without a key had better go elsewhere.
      lane.seal(options.writeTimeoutMs)
      topic.partitioner.rotate()
    }
  }

  /** Its broker could work on it now, and has nothing of ours. What is diverted anyway is better off in larger batches. */
  #idle({ leader, partition, topic }: Lane): boolean {
    return (this.#inFlight.small.get(leader) ?? 0) === 0 && this.#breaker.closed(topic, partition)
  }

  #open(topic: Topic, lane: Lane, now: number): BatchBuilder {
    // A record larger than a batch is no measure of the next one.
    const capacity = Math.min(lane.lastSize, topic.options.batchBytes)
    lane.builder = new BatchBuilder(this.pool, topic.idHeader, capacity, now)
    return lane.builder
  }

  #lane(topic: Topic, partition: number): Lane {
    let lane = topic.lanes.get(partition)
    if (lane === undefined) {
      lane = new Lane(topic.options.topic, partition)
      topic.lanes.set(partition, lane)
    }
    return lane
  }

  /** What may be done now. Batches in `requests` are in flight from here on; those in `diverted` have left Kafka's way. */
  take(): { readonly requests: ReadonlyArray<Request>; readonly diverted: ReadonlyArray<Batch> } {
    this.#admitWaiting()
    const now = this.#now()
    const diverted: Array<Batch> = []
    const brokers = { small: new Map<number, Dispatch>(), large: new Map<number, Dispatch>() }
    const taken: Array<Lane> = []
    for (const lane of this.#active) {
      const topic = this.#topics.get(lane.topic)
      if (topic === undefined || lane.empty) {
        this.#active.delete(lane)
        continue
      }
      const calm = this.#breaker.closed(lane.topic, lane.partition)
      if (lane.inFlight !== undefined) {
        // Behind a probe, or behind what was in flight when the breaker opened, nobody waits.
        if (!calm) this.#divertLane(lane, topic, diverted)
        continue
      }
      if (lane.partition < 0) {
        // Nowhere to go yet. With the breaker open waiting is pointless: it gets its partition at replay.
        if (!calm) this.#divertLane(lane, topic, diverted)
        continue
      }
      const { leader } = lane
      const bytes = lane.queue[0]?.bytes.length ?? lane.builder?.size ?? 0
      const size = bytes >= largeBatchBytes ? "large" : "small"
      let broker = brokers[size].get(leader)
      if (broker === undefined) {
        const busy = this.#inFlight[size].get(leader) ?? 0
        broker = { busy, requests: [], bytes: 0, full: false }
        brokers[size].set(leader, broker)
      }
      if (calm && !this.#ready(lane, topic, broker.busy, now)) continue
      const { requests } = broker
      const joins = requests.length > 0 && !broker.full && broker.bytes + bytes <= requestBytes
      if (!joins && broker.busy + requests.length >= topic.options.maxInFlight) {
        // What came later is smaller, and would make many little batches of the room that is left.
        broker.full = true
        // Nobody waits for a broker's place either, once a breaker has opened.
        if (!calm) this.#divertLane(lane, topic, diverted)
        continue
      }
      const permit = this.#breaker.acquire(lane.topic, lane.partition)
      if (permit === undefined) {
        this.#divertLane(lane, topic, diverted)
        continue
      }
      if (lane.queue.length === 0) {
        lane.seal(topic.options.writeTimeoutMs)
        topic.partitioner.rotate()
      }
      const batch = lane.queue[0]
      if (batch === undefined || batch.deadline - now < shortestAttemptMs) {
        this.#breaker.settle(permit, "ignored", 0)
        continue
      }
      lane.queue.shift()
      batch.permit = permit
      batch.sentAt = now
      lane.inFlight = batch
      lane.sentBytes += batch.bytes.length
      taken.push(lane)
      broker.bytes = joins ? broker.bytes + bytes : bytes
      if (joins) requests[requests.length - 1]?.push(batch)
      else requests.push([batch])
    }
    // Whoever went stands last the next time: partitions take turns, and each comes with as many records as it can.
    for (const lane of taken) {
      this.#active.delete(lane)
      this.#active.add(lane)
    }
    const made: Array<Request> = []
    for (const size of sizes) {
      for (const [leader, { busy, requests }] of brokers[size]) {
        if (requests.length > 0) this.#inFlight[size].set(leader, busy + requests.length)
        for (const batches of requests) made.push({ leader, size, batches })
      }
    }
    return { requests: made, diverted }
  }

  /**
   * Nagle's rule (RFC 896), per broker: with nothing in flight a batch goes at once; otherwise it waits until it is full
   * enough, old enough, or an answer arrives.
   */
  #ready(lane: Lane, topic: Topic, busy: number, now: number): boolean {
    const { batchSize, idleTimeoutMs, maxInFlight } = topic.options
    if (busy >= maxInFlight) return false
    return (
      busy === 0 ||
      this.#flushing ||
      lane.queue.length > 0 ||
      lane.writing >= batchSize ||
      now - lane.openedAt >= idleTimeoutMs
    )
  }

  #divertLane(lane: Lane, topic: Topic, into: Array<Batch>): void {
    lane.seal(topic.options.writeTimeoutMs)
    // As behind any other batch: what an outage parks would else all be replayed to one partition.
    topic.partitioner.rotate()
    for (const batch of lane.queue.splice(0)) {
      batch.settled = true
      into.push(batch)
    }
    if (lane.empty) this.#active.delete(lane)
  }

  /** A request has its answer (or will be retried from outside): its place at the broker is free. */
  answered({ leader, size }: Pick<Request, "leader" | "size">): void {
    const inFlight = this.#inFlight[size]
    inFlight.set(leader, Math.max(0, (inFlight.get(leader) ?? 0) - 1))
  }

  /** The batch is no longer in flight; the next one of its partition may go. */
  land(batch: Batch): void {
    if (batch.lane.inFlight === batch) batch.lane.inFlight = undefined
    if (batch.lane.empty) this.#active.delete(batch.lane)
    else this.#active.add(batch.lane)
    this.#onWork()
  }

  /** Puts parts of a batch that Kafka refused as a whole back, in front of what waits. */
  requeue(batch: Batch, parts: ReadonlyArray<Batch>): void {
    this.#bytes -= batch.budgetBytes
    for (const part of parts) this.#bytes += part.budgetBytes
    this.forget(batch)
    batch.lane.queue.unshift(...parts)
    this.land(batch)
  }

  /** Takes a requeued part out again: its outcome is known. */
  withdraw(batch: Batch): void {
    const at = batch.lane.queue.indexOf(batch)
    if (at >= 0) batch.lane.queue.splice(at, 1)
  }

  /** A record accepted at that time is in memory: when `expire` must look at the latest. */
  #due(openedAt: number, { options: { writeTimeoutMs } }: Topic): void {
    this.#nextDue = Math.min(this.#nextDue, openedAt + writeTimeoutMs - shortestAttemptMs)
  }

  /**
   * Batches whose time for Kafka is over, taken out; `lastError` says why. Waiting publishes past their bound fail.
   * `all`: it is over for every batch in flight.
   */
  expire(all = false): ReadonlyArray<Batch> {
    const now = this.#now()
    this.#expireWaiting(now)
    const expired: Array<Batch> = []
    if (now < this.#nextDue && !all) return expired
    this.#nextDue = Number.POSITIVE_INFINITY
    for (const lane of this.#active) {
      const topic = this.#topics.get(lane.topic)
      if (topic === undefined) continue
      const { inFlight } = lane
      if (inFlight !== undefined && (all || inFlight.deadline <= now)) {
        lane.inFlight = undefined
        // The socket may still be reading it, or be about to.
        inFlight.buffer = undefined
        if (inFlight.attempting) inFlight.maybeWritten = true
        inFlight.lastError ??= attemptTimeout(true, false, now - inFlight.sentAt)
        expired.push(inFlight)
      }
      const late = (openedAt: number) => openedAt + topic.options.writeTimeoutMs - now < shortestAttemptMs
      if (lane.writing > 0 && late(lane.openedAt)) lane.seal(topic.options.writeTimeoutMs)
      while (lane.queue[0] !== undefined && late(lane.queue[0].openedAt)) {
        const batch = lane.queue.shift()
        if (batch === undefined) break
        batch.lastError ??= topic.refusal ?? attemptTimeout(false, false, topic.options.writeTimeoutMs)
        expired.push(batch)
      }
      if (lane.empty) this.#active.delete(lane)
      else this.#due(lane.oldestAt, topic)
    }
    for (const batch of expired) batch.settled = true
    return expired
  }

  /** Everything that is not in flight, taken out, Kafka untried. */
  drain(): ReadonlyArray<Batch> {
    const drained: Array<Batch> = []
    for (const lane of Array.from(this.#active)) {
      const topic = this.#topics.get(lane.topic)
      if (topic !== undefined) this.#divertLane(lane, topic, drained)
    }
    return drained
  }

  /** Everything that has no outcome, in flight or not, taken out. */
  abandon(): ReadonlyArray<Batch> {
    const left = Array.from(this.drain())
    for (const lane of this.#active) {
      if (lane.inFlight === undefined) continue
      lane.inFlight.buffer = undefined
      lane.inFlight.settled = true
      left.push(lane.inFlight)
      lane.inFlight = undefined
    }
    this.#active.clear()
    return left
  }

  /** The outcome of a batch, or of so many of its records, is known. With the last of them its room is free. */
  finished(batch: Batch, how: Durability | "rejected" | "failed", records: number = batch.recordCount): void {
    this.counters[how] += records
    if ((how === "diverted" || how === "spooled") && batch.maybeWritten) this.counters.divertedUnknown += records
    this.#records -= records
    batch.unsettled -= records
    if (batch.unsettled > 0) return
    this.forget(batch)
    this.#bytes -= batch.budgetBytes
    if (this.waiting > 0) this.#onWork()
  }

  /** Gives back memory that was not needed since it was last called. */
  trim(): void {
    this.pool.trim()
  }

  /** The batch's bytes are not needed any more. */
  forget(batch: Batch): void {
    if (batch.buffer !== undefined) this.pool.give(batch.buffer)
    batch.buffer = undefined
  }

  /** Learns leaders and partition counts; records that waited for a partition get one. */
  learn(metadata: TopicMetadata): void {
    const topic = this.#topics.get(metadata.topic)
    if (topic === undefined) return
    if (metadata._tag === "TopicFailed") {
      if (metadata.error.class !== "Permanent") return
      if (topic.refusal === undefined) topic.refusedSince = this.#now()
      topic.refusal = metadata.error
      return
    }
    topic.refusal = undefined
    topic.partitionCount = metadata.partitions.length
    Object.assign(topic.view, { count: metadata.partitions.length })
    for (const { leader, partition } of metadata.partitions) {
      const lane = this.#lane(topic, partition)
      lane.leader = leader
      topic.byPartition[partition] = lane
    }
    this.#onWork()
  }

  /** Batches accepted before the topic's partitions were known, now that they are. */
  unplaced(): ReadonlyArray<Batch> {
    const found: Array<Batch> = []
    for (const topic of this.#topics.values()) {
      const lane = topic.lanes.get(-1)
      if (lane === undefined || topic.partitionCount === 0) continue
      lane.seal(topic.options.writeTimeoutMs)
      found.push(...lane.queue.splice(0))
      this.#active.delete(lane)
    }
    return found
  }

  /** Gives one record of an unplaced batch its partition. Its room is taken already. */
  place(batch: Batch, index: number, record: ProducerRecord): void {
    const topic = this.#topics.get(batch.topic)
    const callback = batch.callbacks[index]
    if (topic === undefined || callback === undefined) return
    const lane = this.#lane(topic, topic.partitioner.choose(record.key, topic.view))
    const { batchBytes, maxRecordBytes, writeTimeoutMs } = topic.options
    if (lane.builder !== undefined && lane.openedAt > batch.openedAt) lane.openedAt = batch.openedAt
    let builder = lane.builder ?? this.#open(topic, lane, batch.openedAt)
    if (lane.writing === 0) lane.openedAt = batch.openedAt
    const timestamp = record.timestamp ?? batch.openedAt
    let taken = builder.append(record, timestamp, batchBytes, Number.MAX_SAFE_INTEGER)
    if (taken === 0) {
      lane.seal(writeTimeoutMs)
      lane.openedAt = batch.openedAt
      builder = this.#open(topic, lane, batch.openedAt)
      taken = builder.append(record, timestamp, batchBytes, maxRecordBytes * 2)
    }
    builder.listen(callback, batch.indexes[index] ?? 0)
    this.#due(batch.openedAt, topic)
    this.#bytes += taken
    this.#active.add(lane)
  }

  /** The room of an unplaced batch, once all its records have been placed. */
  placed(batch: Batch): void {
    this.#bytes -= batch.budgetBytes
    this.forget(batch)
    this.#onWork()
  }

  /** From now on offers are refused, and batches no longer wait for company. */
  close(): void {
    this.#closed = true
    this.flush()
    for (const { callback, index } of this.#waiting.slice(this.#waitingFrom)) this.#refuse(callback, index, closedError)
    this.#waiting = []
    this.#waitingFrom = 0
  }

  /** Batches no longer wait for company. */
  flush(): void {
    this.#flushing = true
    this.#onWork()
  }

  #admitWaiting(): void {
    // A callback may offer again: what comes now has its turn the next time, or this might never end.
    for (let most = this.waiting; most > 0 && !this.#full; most--) {
      const next = this.#waiting[this.#waitingFrom++]
      const topic = next === undefined ? undefined : this.#topics.get(next.record.topic)
      if (next !== undefined && topic !== undefined) this.#admit(topic, next.record, next.callback, next.index)
    }
    this.#compactWaiting()
  }

  #expireWaiting(now: number): void {
    for (let most = this.waiting; most > 0; most--) {
      const next = this.#waiting[this.#waitingFrom]
      if (next === undefined || next.until > now) break
      this.#waitingFrom++
      this.#refuse(next.callback, next.index, overloadedError)
    }
    this.#compactWaiting()
  }

  #compactWaiting(): void {
    if (this.#waitingFrom < 1024 && this.#waitingFrom < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#waitingFrom)
    this.#waitingFrom = 0
  }
}

const closedError = new PublishError({ reason: "Closed", message: "Spillway is shutting down: publish elsewhere" })
const overloadedError = new PublishError({
  reason: "Overloaded",
  message: "the buffer is full and stayed full (buffer.max_records, buffer.max_bytes, buffer.max_wait)"
})

const unknownTopic = (topic: string, why: string): PublishError =>
  new PublishError({ reason: "UnknownTopic", field: "topic", message: `topic ${JSON.stringify(topic)}: ${why}` })

/** Kafka's permanent refusal as the caller's error. */
export const rejection = (error: KafkaError, topic: string): PublishError => {
  switch (error.reason) {
    case "UNKNOWN_TOPIC_OR_PARTITION":
    case "INVALID_TOPIC_EXCEPTION":
    case "UNKNOWN_TOPIC_ID":
      return unknownTopic(topic, error.message)
    case "MESSAGE_TOO_LARGE":
    case "RECORD_LIST_TOO_LARGE":
      return new PublishError({ reason: "RecordTooLarge", field: "value", message: error.message, cause: error })
    case "TOPIC_AUTHORIZATION_FAILED":
    case "CLUSTER_AUTHORIZATION_FAILED":
      return new PublishError({ reason: "NotAuthorized", field: "topic", message: error.message, cause: error })
    default:
      return new PublishError({ reason: "InvalidRecord", message: `${error.reason}: ${error.message}`, cause: error })
  }
}
