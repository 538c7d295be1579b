/**
 * A broker as far as a producer can tell, scripted: for answers that no real broker gives when asked to.
 */
import { createServer, type Socket } from "node:net"

export interface FakeBroker {
  /** `host:port` */
  readonly address: string
  /** How often a Produce request came. */
  readonly produced: () => number
  readonly stop: () => Promise<void>
}

export interface FakeBrokerOptions {
  readonly topic: string
  readonly partitions: number
  /**
   * The partitions a Produce answer speaks of, each with this error code, and with an offset: 40 by default, and -1 with
   * an error; undefined: no answer at all.
   */
  readonly answer: (
    attempt: number
  ) => ReadonlyArray<readonly [partition: number, errorCode: number, offset?: bigint]> | undefined
  /** A request above so many bytes is not read to its end before `until`; `begun` is called when it comes. */
  readonly stall?: { readonly above: number; readonly begun: () => void; readonly until: Promise<void> }
  /** Connections at a time; a further one is closed as soon as it is made (`max.connections.per.ip`). */
  readonly connections?: number
  /** How long a client is to wait behind connecting, ms; 0 by default. */
  readonly throttleMs?: number
}

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

/** Versions offered: Produce up to 7, Metadata up to 6, ApiVersions up to 2, InitProducerId up to 1. */
const offered = [
  [0, 7],
  [3, 6],
  [18, 2],
  [22, 1]
] as const

export const start = (options: FakeBrokerOptions): Promise<FakeBroker> =>
  new Promise((resolve, reject) => {
    const { answer, connections = Number.POSITIVE_INFINITY, partitions, stall, throttleMs = 0, topic } = options
    const sockets = new Set<Socket>()
    let attempts = 0
    let port = 0

    const bodyOf = (apiKey: number, version: number): Buffer | undefined => {
      switch (apiKey) {
        case 18: {
          const apis = array(offered.map(([key, newest]) => all(int16(key), int16(0), int16(newest))))
          return all(int16(0), apis, version >= 1 ? int32(throttleMs) : Buffer.alloc(0))
        }
        case 3: {
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
        case 22:
          return all(int32(0), int16(0), int64(7n), int16(0))
        case 0: {
          const answered = answer(attempts++)
          if (answered === undefined) return undefined
          const told = answered.map(([partition, code, offset = code === 0 ? 40n : -1n]) =>
            all(int32(partition), int16(code), int64(offset), int64(-1n), int64(0n))
          )
          return all(array([all(string(topic), array(told))]), int32(0))
        }
        default:
          return undefined
      }
    }

    const server = createServer(socket => {
      socket.on("error", () => undefined)
      if (sockets.size >= connections) {
        socket.destroy()
        return
      }
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      let received: Buffer = Buffer.alloc(0)
      let stalled = false
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        if (stall !== undefined && !stalled && received.length >= 4 && received.readInt32BE(0) > stall.above) {
          stalled = true
          socket.pause()
          stall.begun()
          stall.until.then(() => socket.resume())
        }
        while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
          const request = received.subarray(4, 4 + received.readInt32BE(0))
          received = received.subarray(4 + request.length)
          const body = bodyOf(request.readInt16BE(0), request.readInt16BE(2))
          if (body === undefined) continue
          const correlation = request.subarray(4, 8)
          socket.write(all(int32(4 + body.length), correlation, body))
        }
      })
    })
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      port = typeof address === "object" && address !== null ? address.port : 0
      resolve({
        address: `127.0.0.1:${port}`,
        produced: () => attempts,
        stop: () =>
          new Promise(done => {
            for (const socket of sockets) socket.destroy()
            server.close(() => done())
          })
      })
    })
  })
