/**
 * Reads a whole topic through kafkajs's consumer: from the first record to what the end offsets were when it was asked.
 */
import { randomUUID } from "node:crypto"
import { zstdDecompressSync } from "node:zlib"
import { CompressionCodecs, CompressionTypes, type IHeaders } from "kafkajs"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { byPosition, type StoredRecord } from "./StoredRecord.ts"

// kafkajs brings gzip only.
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: () => Promise.reject(new Error("the reader does not compress")),
  decompress: async (bytes: Buffer): Promise<Buffer> => zstdDecompressSync(bytes)
})

const headersOf = (headers: IHeaders | undefined): StoredRecord["headers"] =>
  Object.entries(headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map(
      one => [name, one === undefined || one === null ? null : Buffer.from(one)] as const
    )
  )

/** A group's coordinator that is just loading, after a failover: worth asking again. */
const passing = (error: unknown): boolean =>
  typeof error === "object" && error !== null && Reflect.get(error, "retriable") === true

export interface ReadOptions {
  /** 60 000 ms by default. */
  readonly deadlineMs?: number
}

/** All records of the topic by partition and offset. Fails when they are not there within `deadlineMs`. */
export const readAll = async (
  cluster: KafkaCluster,
  topic: string,
  options: ReadOptions = {}
): Promise<ReadonlyArray<StoredRecord>> => {
  const records: Array<StoredRecord> = []
  await readEach(cluster, topic, record => records.push(record), options)
  return records.sort(byPosition)
}

/** `readAll` for topics too large to be held: each record once, those of a partition in order. */
export const readEach = async (
  cluster: KafkaCluster,
  topic: string,
  onRecord: (record: StoredRecord) => unknown,
  { deadlineMs = 60_000 }: ReadOptions = {}
): Promise<void> => {
  const end = Date.now() + deadlineMs
  const next = new Map<number, bigint>()
  const once = (record: StoredRecord) => {
    if (record.offset < (next.get(record.partition) ?? 0n)) return
    next.set(record.partition, record.offset + 1n)
    onRecord(record)
  }
  for (;;) {
    try {
      return await readOnce(cluster, topic, once, Math.max(1000, end - Date.now()))
    } catch (error) {
      if (!passing(error) || Date.now() >= end) throw error
    }
  }
}

const readOnce = async (
  cluster: KafkaCluster,
  topic: string,
  onRecord: (record: StoredRecord) => void,
  deadlineMs: number
): Promise<void> => {
  const missing = new Map<number, bigint>()
  for (const { high, low, partition } of await cluster.offsets(topic)) if (high > low) missing.set(partition, high)
  if (missing.size === 0) return

  const groupId = `spillway-reader-${randomUUID()}`
  const consumer = cluster.kafkaJs().consumer({ groupId, maxWaitTimeInMs: 100, rebalanceTimeout: 5_000 })
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => {
        const left = [...missing].map(([partition, end]) => `${partition} (to ${end})`).join(", ")
        reject(new Error(`${topic}: not read to the end within ${deadlineMs} ms, partitions left: ${left}`))
      }, deadlineMs)
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      const running = consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch: { messages, partition } }) => {
          for (const { headers, key, offset, timestamp, value } of messages) {
            onRecord({
              partition,
              offset: BigInt(offset),
              key,
              value,
              headers: headersOf(headers),
              timestamp: Number(timestamp)
            })
          }
          const end = missing.get(partition)
          const last = messages.at(-1)
          if (end !== undefined && last !== undefined && BigInt(last.offset) + 1n >= end) missing.delete(partition)
          if (missing.size === 0) resolve()
        }
      })
      running.catch(reject)
    })
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
  }
}
