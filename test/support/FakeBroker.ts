/**
 * A broker as far as a producer can tell, scripted: for answers that no real broker gives when asked to.
 */
import * as Protocol from "./brokerProtocol.ts"

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

export const start = async (options: FakeBrokerOptions): Promise<FakeBroker> => {
  const { answer, connections, partitions, stall, throttleMs = 0, topic } = options
  let attempts = 0

  const answerTo = (request: Buffer, port: number): Buffer | undefined => {
    const cluster = { port, topic, partitions, throttleMs }
    if (!Protocol.isProduce(request)) return Protocol.answer(request, cluster)
    const told = answer(attempts++)?.map(([partition, errorCode, offset = errorCode === 0 ? 40n : -1n]) => ({
      partition,
      errorCode,
      offset
    }))
    return told === undefined ? undefined : Protocol.answer(request, cluster, told)
  }

  const { address, stop } = await Protocol.listen((socket, port) => {
    const requests = new Protocol.Requests()
    let stalled = false
    socket.on("data", (chunk: Buffer) => {
      const whole = requests.push(chunk)
      if (stall !== undefined && !stalled && requests.expected > stall.above) {
        stalled = true
        socket.pause()
        stall.begun()
        stall.until.then(() => socket.resume())
      }
      for (const request of whole) {
        const answered = answerTo(request, port)
        if (answered !== undefined) socket.write(answered)
      }
    })
  }, connections)
  return { address, produced: () => attempts, stop }
}
