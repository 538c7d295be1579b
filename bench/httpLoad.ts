/**
 * Keep-alive connections, each posting and waiting for its answer: 1 024 with one record a request (`http-256`: 256), 32 with a
 * hundred as NDJSON. The server is another process.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { guardProcess, releaseProcess } from "../test/support/Guard.ts"
import { freePort } from "../test/support/ports.ts"
import { eventCount, events } from "./events.ts"
import { buildPeer } from "./peers.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

const ndjson = { connections: 32, records: 100 } as const
/** `http-256`: as many connections instead of 1 024. */
export const connectionsOf = ({ name }: Job): number =>
  name === "http-ndjson" ? ndjson.connections : name.endsWith("-256") ? 256 : 1024

/** 201 is "in Kafka"; 202, diverted, would not count. */
export const statusOf = ({ name }: Job): string => (/echo|benthos/.test(name) ? "200" : "201")

/** Bun's own sockets: a generator on `node:net` would take more of the machine than the server it measures. */
export interface BunSocket {
  readonly write: (bytes: Uint8Array) => number
  readonly end: () => void
}
interface Handlers {
  readonly open?: (socket: BunSocket) => void
  readonly data: (socket: BunSocket, chunk: Buffer) => void
  readonly drain: (socket: BunSocket) => void
  readonly close?: () => void
  readonly connectError?: (socket: BunSocket, error: Error) => void
}
declare const Bun: {
  readonly connect: (options: {
    readonly hostname: string
    readonly port: number
    readonly socket: Handlers
  }) => Promise<BunSocket>
}

export const connect = (port: number, socket: Handlers): Promise<BunSocket> =>
  Bun.connect({ hostname: "127.0.0.1", port, socket })

const carriageReturn = 13
const contentLength = Buffer.from("content-length: ")

/** Bytes of the first whole answer in `buffer`, 0 while it is not all there. */
export const answerLength = (buffer: Buffer): number => {
  const end = buffer.indexOf("\r\n\r\n", 0, "latin1")
  if (end < 0) return 0
  // Bun writes header names as it was given them, and its own like this.
  const at = buffer.indexOf(contentLength)
  const from = at >= 0 && at < end ? at : buffer.toString("latin1", 0, end).toLowerCase().indexOf("content-length: ")
  if (from < 0) throw new Error("the answer has no content-length")
  let length = 0
  for (let i = from + contentLength.length; buffer[i] !== carriageReturn; i++)
    length = length * 10 + (buffer[i] ?? 48) - 48
  const whole = end + 4 + length
  return buffer.length < whole ? 0 : whole
}

const post = (flow: Flow, job: Job, port: number, requests: ReadonlyArray<Buffer>, first: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const expected = statusOf(job)
    const records = job.name === "http-ndjson" ? ndjson.records : 1
    let next = first
    let received: Buffer = Buffer.alloc(0)
    let unsent: Buffer = received
    const flush = (socket: BunSocket) => {
      if (unsent.length > 0) unsent = unsent.subarray(socket.write(unsent))
    }
    const send = (socket: BunSocket) => {
      if (!flow.running) return socket.end()
      unsent = requests[next++ & (eventCount - 1)] ?? unsent
      flush(socket)
    }
    const take = (socket: BunSocket, chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      if (answerLength(received) === 0) return
      const status = received.toString("latin1", 9, 12)
      if (status === expected) flow.acknowledged += records
      else flow.fail(`${job.name} answered ${status}`)
      received = received.subarray(0, 0)
      send(socket)
    }
    connect(port, {
      open: send,
      data: take,
      drain: flush,
      close: resolve,
      connectError: (_, error) => reject(error)
    }).catch(reject)
  })

const command = async (job: Job): Promise<readonly [string, ReadonlyArray<string>]> =>
  job.name === "http-benthos"
    ? [buildPeer("benthos"), [JSON.stringify({ ...job, port: await freePort() })]]
    : [process.execPath, [fileURLToPath(new URL("httpServer.ts", import.meta.url)), JSON.stringify(job)]]

export const requestsOf = (job: Job): ReadonlyArray<Buffer> => {
  const many = job.name === "http-ndjson"
  const values = events(job.size)
  const bodies = many
    ? values.map((_, first) => {
        const lines = Array.from({ length: ndjson.records }, (_, at) => values[(first + at) & (eventCount - 1)])
        return Buffer.from(lines.map(value => `{"value":${value}}\n`).join(""))
      })
    : values
  const type = many ? "application/x-ndjson" : "application/octet-stream"
  const head = `POST /v1/topics/${job.topic}/records HTTP/1.1\r\nhost: bench\r\ncontent-type: ${type}\r\n`
  return bodies.map(body => Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]))
}

/** The job's server in a process of its own, while `work` runs. `cpu`: its processor time so far, microseconds. */
export const withServer = async <A>(
  job: Job,
  work: (server: { readonly port: number; readonly cpu: () => Promise<number> }) => Promise<A>
): Promise<A> => {
  const [file, args] = await command(job)
  const server = spawn(file, [...args], { stdio: ["pipe", "pipe", "inherit"] })
  if (server.pid !== undefined) guardProcess(server.pid)
  const ended = new Promise<void>(resolve => server.once("exit", () => resolve()))
  try {
    const port = await new Promise<number>((resolve, reject) => {
      server.once("error", reject)
      server.once("exit", code => reject(new Error(`the HTTP server ended with ${code}`)))
      server.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString("utf8"))))
    })
    const cpu = () =>
      new Promise<number>(resolve => {
        server.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString("utf8"))))
        server.stdin.write("cpu\n")
      })
    return await work({ port, cpu })
  } finally {
    server.stdin.end()
    await ended
    if (server.pid !== undefined) releaseProcess(server.pid)
  }
}

export const runHttp = (job: Job): Promise<Measured> =>
  withServer(job, ({ cpu, port }) => {
    const requests = requestsOf(job)
    const flow = new Flow()
    const load = () =>
      Promise.all(Array.from({ length: connectionsOf(job) }, (_, index) => post(flow, job, port, requests, index * 4)))
    return measure(job, flow, load, cpu)
  })
