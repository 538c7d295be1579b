/**
 * Kafka's Metadata request (version 1), written out by hand: asks exactly one broker what it knows, with nothing cached
 * and no client library in between.
 */
import { connect } from "node:net"

export interface ProbedPartition {
  readonly partition: number
  /** Kafka's error code; 0 is none, 5 LEADER_NOT_AVAILABLE. */
  readonly errorCode: number
  readonly leader: number
  readonly replicas: ReadonlyArray<number>
  readonly inSyncReplicas: ReadonlyArray<number>
}

export interface ProbedTopic {
  readonly name: string
  /** Kafka's error code; 0 is none, 3 UNKNOWN_TOPIC_OR_PARTITION. */
  readonly errorCode: number
  readonly partitions: ReadonlyArray<ProbedPartition>
}

export interface ProbedCluster {
  readonly brokers: ReadonlyArray<{ readonly id: number; readonly host: string; readonly port: number }>
  readonly topics: ReadonlyArray<ProbedTopic>
}

const encodeString = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const request = (topics: ReadonlyArray<string>): Buffer => {
  const head = Buffer.alloc(8)
  head.writeInt16BE(3, 0)
  head.writeInt16BE(1, 2)
  head.writeInt32BE(1, 4)
  const count = Buffer.alloc(4)
  count.writeInt32BE(topics.length)
  const body = Buffer.concat([head, encodeString("spillway-testbed"), count, ...topics.map(encodeString)])
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

class Reader {
  readonly #bytes: Buffer
  #at = 8
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }
  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }
  boolean(): boolean {
    this.#at += 1
    return this.#bytes.readInt8(this.#at - 1) !== 0
  }
  string(): string {
    const length = this.int16()
    if (length < 0) return ""
    this.#at += length
    return this.#bytes.toString("utf8", this.#at - length, this.#at)
  }
  array<A>(item: () => A): ReadonlyArray<A> {
    return Array.from({ length: Math.max(this.int32(), 0) }, item)
  }
}

const decode = (bytes: Buffer): ProbedCluster => {
  const read = new Reader(bytes)
  const brokers = read.array(() => {
    const broker = { id: read.int32(), host: read.string(), port: read.int32() }
    read.string()
    return broker
  })
  read.int32()
  const topics = read.array(() => {
    const errorCode = read.int16()
    const name = read.string()
    read.boolean()
    const partitions = read.array(() => ({
      errorCode: read.int16(),
      partition: read.int32(),
      leader: read.int32(),
      replicas: read.array(() => read.int32()),
      inSyncReplicas: read.array(() => read.int32())
    }))
    return { name, errorCode, partitions }
  })
  return { brokers, topics }
}

/** What the broker at this PLAINTEXT address answers; fails when it does not within `deadlineMs`. */
export const probe = (
  address: { readonly host: string; readonly port: number },
  topics: ReadonlyArray<string> = [],
  deadlineMs = 2_000
): Promise<ProbedCluster> =>
  new Promise((resolve, reject) => {
    const socket = connect(address)
    let received: Buffer = Buffer.alloc(0)
    const finish = (act: () => void): void => {
      clearTimeout(timer)
      socket.destroy()
      act()
    }
    const timer = setTimeout(
      () => finish(() => reject(new Error(`${address.port} did not answer in time`))),
      deadlineMs
    )
    socket.once("connect", () => socket.write(request(topics)))
    socket.on("data", (chunk: Uint8Array) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      const answer = received
      finish(() => {
        try {
          resolve(decode(answer))
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    socket.once("error", error => finish(() => reject(error)))
    socket.once("close", () => finish(() => reject(new Error(`${address.port} closed the connection`))))
  })
