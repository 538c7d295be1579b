/**
 * Ten thousand connections that do nothing good, and traffic beside them: the service's memory, and what became of the
 * traffic. The service is a process of its own before a real Kafka.
 *
 *     bun bench/idleConnections.ts            10 000 connections, 20 000 records, twice
 *     bun bench/idleConnections.ts --connections 2000
 *
 * Both processes need as many open files as there are connections (`ulimit -n`).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { eventually } from "../test/support/eventually.ts"
import { deleteDirectory, temporaryDirectory } from "../test/support/Guard.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { freePort } from "../test/support/ports.ts"
import { RunningService } from "../test/support/RunningService.ts"
import { roundsOf } from "./proc.ts"
import { aligned } from "./report.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10000" },
    records: { type: "string", default: "20000" },
    rounds: { type: "string", default: "2" }
  }
})
const connections = Number(values.connections)
const records = Number(values.records)
const rounds = roundsOf(values.rounds)
const live = 64
const head = (length: number) =>
  `POST /v1/topics/events/records HTTP/1.1\r\nhost: h\r\ncontent-length: ${length}\r\n\r\n`

/** What a connection sends before it falls silent, and the share of them that do. */
const kinds = [
  { name: "sends nothing", sent: "", share: 0.5 },
  { name: "sent one record", sent: `${head(1)}x`, share: 0.3 },
  { name: "sent half a head", sent: head(1).slice(0, 40), share: 0.1 },
  { name: "sent a tenth of a body", sent: `${head(1000)}${"x".repeat(100)}`, share: 0.1 }
]

const configuration = (brokers: ReadonlyArray<string>, endpoint: string, port: number): string => `
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, retry: { queue_id: parked, create: true } } }
kafka: { connection: { default: { brokers: "${brokers.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: l, secret_access_key: l } } } } }
http: { port: ${port} }
`

const open = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => resolve(socket))
    socket.on("error", reject)
    // What is answered is of no interest here.
    socket.resume()
  })

/** So many at a time: a listening socket's queue is not endless. */
const openMany = async (port: number): Promise<ReadonlyArray<Socket>> => {
  const sockets: Array<Socket> = []
  for (const { sent, share } of kinds) {
    for (let left = Math.round(connections * share); left > 0; left -= 100) {
      const some = await Promise.all(Array.from({ length: Math.min(100, left) }, () => open(port)))
      for (const socket of some) if (sent !== "") socket.write(sent)
      sockets.push(...some)
    }
  }
  return sockets
}

/** Publishes through 64 connections, one record after the other; counts the answers by status. */
const traffic = async (url: string): Promise<ReadonlyMap<number, number>> => {
  const statuses = new Map<number, number>()
  let left = records
  const one = async () => {
    while (left-- > 0) {
      const { status } = await fetch(`${url}/v1/topics/events/records`, { method: "POST", body: '{"n":1}' })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: live }, one))
  return statuses
}

const megabytes = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024)

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const directory = temporaryDirectory("idle-connections")
const cluster = await Kafka.start({ topics: [{ name: "events", partitions: 6 }] })
try {
  await withSqs(async endpoint => {
    const port = await freePort()
    const file = join(directory, "service.yaml")
    writeFileSync(file, configuration(cluster.bootstrap, endpoint, port))
    const service = new RunningService(["serve", "--config", file])
    const url = `http://127.0.0.1:${port}`
    await eventually("readiness", 20_000, async () =>
      /accepting/.test(await (await fetch(`${url}/readyz`)).text()) ? true : undefined
    )
    const pid = service.pid ?? 0
    await traffic(url)
    const lines = [["", "RSS MiB", "records", "not 201"]]
    const note = (what: string, statuses?: ReadonlyMap<number, number>) => {
      const all = [...(statuses?.values() ?? [])].reduce((sum, count) => sum + count, 0)
      const figures = statuses === undefined ? ["", ""] : [String(all), String(all - (statuses.get(201) ?? 0))]
      lines.push([what, String(megabytes(pid)), ...figures])
    }
    note("warmed up")
    let wrong = 0
    for (let round = 1; round <= rounds; round++) {
      const sockets = await openMany(port)
      note(`round ${round}: ${sockets.length} connections held`)
      const statuses = await traffic(url)
      wrong += records - (statuses.get(201) ?? 0)
      note(`round ${round}: with traffic`, statuses)
      for (const socket of sockets) socket.destroy()
      await pause(2000)
      await traffic(url)
      note(`round ${round}: closed again, with traffic`)
    }
    service.signal("SIGTERM")
    const { code, stdout } = await service.ended
    console.log(kinds.map(({ name, share }) => `${share * 100} % ${name}`).join(", "))
    console.log(aligned(lines))
    console.log(stdout.trim().split("\n").at(-1))
    process.exitCode = code === 0 && wrong === 0 ? 0 : 1
  })
} finally {
  await cluster.stop()
  deleteDirectory(directory)
}
process.exit()
