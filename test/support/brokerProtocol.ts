/**
 * Kafka's protocol from the broker's side, as far as a producer needs it: for brokers that are scripted.
 */
import { createServer, type Socket } from "node:net"

const int8 = (value: number) => Buffer.from([value])
const int16 = (value: number) => {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}
const int32 = (value: number) => {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}
const int64 = (value: bigint) => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(value)
  return buffer
}
const string = (text: string) => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const array = (items: ReadonlyArray<Buffer>) => Buffer.concat([int32(items.length), ...items])
const all = (...parts: ReadonlyArray<Buffer>) => Buffer.concat(parts)

const apiKeys = { produce: 0, metadata: 3, apiVersions: 18, initProducerId: 22 } as const

/** The newest version offered of each. */
const offered = [
  [apiKeys.produce, 7],
  [apiKeys.metadata, 6],
  [apiKeys.apiVersions, 2],
  [apiKeys.initProducerId, 1]
] as const

export interface Listening {
  /** `host:port` */
  readonly address: string
  readonly stop: () => Promise<void>
}

/** Listens on a free port. Above so many connections at a time a further one is closed as soon as it is made. */
export const listen = (
  serve: (socket: Socket, port: number) => void,
  connections = Number.POSITIVE_INFINITY
): Promise<Listening> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<Socket>()
    let port = 0
    const server = createServer(socket => {
      socket.on("error", () => undefined)
      if (sockets.size >= connections) {
        socket.destroy()
        return
      }
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      serve(socket, port)
    })
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      port = typeof address === "object" && address !== null ? address.port : 0
      resolve({
        address: `127.0.0.1:${port}`,
        stop: () =>
          new Promise(done => {
            for (const socket of sockets) socket.destroy()
            server.close(() => done())
          })
      })
    })
  })

/** Puts the requests together that come over a connection. */
export class Requests {
  #chunks: Array<Buffer> = []
  #held = 0
  #needed = 4

  /** Bytes of the request that is coming in; 0 until it says so. */
  get expected(): number {
    return this.#needed - 4
  }
  /** Bytes of it that are here. */
  get held(): number {
    return Math.max(0, this.#held - 4)
  }

  /** The requests that are whole now. */
  push(chunk: Buffer): ReadonlyArray<Buffer> {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    if (this.#held < this.#needed) return []
    let bytes: Buffer = Buffer.concat(this.#chunks)
    const lengthOf = () => (bytes.length < 4 ? 4 : 4 + bytes.readInt32BE(0))
    const whole: Array<Buffer> = []
    while (bytes.length >= 4 && bytes.length >= lengthOf()) {
      const end = lengthOf()
      whole.push(bytes.subarray(4, end))
      bytes = bytes.subarray(end)
    }
    this.#chunks = [bytes]
    this.#held = bytes.length
    this.#needed = lengthOf()
    return whole
  }
}

/** A cluster of one broker with one topic, as it describes itself. */
export interface Description {
  readonly port: number
  readonly topic: string
  readonly partitions: number
  /** How long a client is to wait behind connecting, ms. */
  readonly throttleMs: number
}

/** What a Produce answer says of one partition. */
export interface Told {
  readonly partition: number
  readonly errorCode: number
  readonly offset: bigint
}

const produced = (topic: string, told: ReadonlyArray<Told>): Buffer => {
  const partitions = told.map(({ errorCode, offset, partition }) =>
    all(int32(partition), int16(errorCode), int64(offset), int64(-1n), int64(0n))
  )
  return all(array([all(string(topic), array(partitions))]), int32(0))
}

export const isProduce = (request: Buffer): boolean => request.readInt16BE(0) === apiKeys.produce

/** The partitions of a Produce request with the record batch for each. */
export const batchesOf = (request: Buffer): ReadonlyArray<readonly [partition: number, batch: Buffer]> => {
  // API key, version, correlation id.
  let at = 8
  const skipString = () => {
    at += 2 + Math.max(0, request.readInt16BE(at))
  }
  const next = () => {
    at += 4
    return request.readInt32BE(at - 4)
  }
  // Client id, transactional id, acks, timeout.
  skipString()
  skipString()
  at += 2 + 4
  const batches: Array<readonly [number, Buffer]> = []
  for (let topics = next(); topics > 0; topics--) {
    skipString()
    for (let partitions = next(); partitions > 0; partitions--) {
      const partition = next()
      const length = next()
      batches.push([partition, request.subarray(at, at + length)])
      at += length
    }
  }
  return batches
}

/** The answer to a request, framed; `told` is for a Produce request. Undefined: there is none. */
export const answer = (request: Buffer, cluster: Description, told: ReadonlyArray<Told> = []): Buffer | undefined => {
  const version = request.readInt16BE(2)
  const body = bodyOf(request.readInt16BE(0), version, cluster, told)
  return body === undefined ? undefined : all(int32(4 + body.length), request.subarray(4, 8), body)
}

const bodyOf = (
  apiKey: number,
  version: number,
  { partitions, port, throttleMs, topic }: Description,
  told: ReadonlyArray<Told>
): Buffer | undefined => {
  switch (apiKey) {
    case apiKeys.apiVersions: {
      const apis = array(offered.map(([key, newest]) => all(int16(key), int16(0), int16(newest))))
      return all(int16(0), apis, version >= 1 ? int32(throttleMs) : Buffer.alloc(0))
    }
    case apiKeys.metadata: {
      const described = Array.from({ length: partitions }, (_, index) =>
        all(
          int16(0),
          int32(index),
          int32(1),
          array([int32(1)]),
          array([int32(1)]),
          version >= 5 ? array([]) : Buffer.alloc(0)
        )
      )
      return all(
        int32(0),
        array([all(int32(1), string("127.0.0.1"), int32(port), int16(-1))]),
        string("fake"),
        int32(1),
        array([all(int16(0), string(topic), int8(0), array(described))])
      )
    }
    case apiKeys.initProducerId:
      return all(int32(0), int16(0), int64(7n), int16(0))
    case apiKeys.produce:
      return produced(topic, told)
    default:
      return undefined
  }
}
