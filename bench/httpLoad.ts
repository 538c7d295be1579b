/** 256 keep-alive connections, each posting one record and waiting for its answer; the server is another process. */
import { spawn } from "node:child_process"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { guardProcess, releaseProcess } from "../test/support/Guard.ts"
import { eventCount, events } from "./events.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

const connections = 256
const headEnd = Buffer.from("\r\n\r\n")

/** Bytes of the first whole answer in `buffer`, 0 while it is not all there. */
const answerLength = (buffer: Buffer): number => {
  const end = buffer.indexOf(headEnd)
  if (end < 0) return 0
  const length = /\r\ncontent-length: *(\d+)/i.exec(buffer.toString("latin1", 0, end))?.[1]
  if (length === undefined) throw new Error("the answer has no content-length")
  const whole = end + headEnd.length + Number(length)
  return buffer.length < whole ? 0 : whole
}

/** 201 is "in Kafka"; 202, diverted, would not count. */
const post = (flow: Flow, job: Job, port: number, requests: ReadonlyArray<Buffer>, first: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const expected = job.name === "http-echo" ? "200" : "201"
    let next = first
    let received: Buffer = Buffer.alloc(0)
    const send = () => {
      if (flow.running) socket.write(requests[next++ & (eventCount - 1)] ?? Buffer.alloc(0))
      else socket.end()
    }
    socket.once("connect", send)
    socket.once("error", reject)
    socket.once("close", () => resolve())
    socket.on("data", (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      if (answerLength(received) === 0) return
      const status = received.toString("latin1", 9, 12)
      if (status === expected) flow.acknowledged++
      else flow.fail(`${job.name} answered ${status}`)
      received = Buffer.alloc(0)
      send()
    })
  })

export const runHttp = async (job: Job): Promise<Measured> => {
  const file = fileURLToPath(new URL("httpServer.ts", import.meta.url))
  const server = spawn(process.execPath, [file, JSON.stringify(job)], { stdio: ["pipe", "pipe", "inherit"] })
  if (server.pid !== undefined) guardProcess(server.pid)
  const ended = new Promise<void>(resolve => server.once("exit", () => resolve()))
  try {
    const port = await new Promise<number>((resolve, reject) => {
      server.once("error", reject)
      server.once("exit", code => reject(new Error(`the HTTP server ended with ${code}`)))
      server.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString("utf8"))))
    })
    const head = `POST /v1/topics/${job.topic}/records HTTP/1.1\r\nhost: bench\r\ncontent-type: application/octet-stream\r\ncontent-length: ${job.size}\r\n\r\n`
    const requests = events(job.size).map(value => Buffer.concat([Buffer.from(head), value]))
    const flow = new Flow()
    const load = () =>
      Promise.all(Array.from({ length: connections }, (_, index) => post(flow, job, port, requests, index * 4)))
    const cpu = () =>
      new Promise<number>(resolve => {
        server.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString("utf8"))))
        server.stdin.write("cpu\n")
      })
    return await measure(job, flow, load, cpu)
  } finally {
    server.stdin.end()
    await ended
    if (server.pid !== undefined) releaseProcess(server.pid)
  }
}
