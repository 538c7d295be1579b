import assert from "node:assert/strict"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { createServer } from "node:net"
import { join } from "node:path"
import process from "node:process"
import { after, before, describe, it } from "node:test"
import { eventually } from "../support/eventually.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import { freePort } from "../support/ports.ts"
import { RunningService } from "../support/RunningService.ts"
import { headerText } from "../support/StoredRecord.ts"

const slow = { timeout: 60_000 }
const token = "workers-token"

/** The processes that another one has started. */
const childrenOf = (pid: number | undefined): ReadonlyArray<number> =>
  readdirSync("/proc").flatMap(name => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      return stat.slice(stat.lastIndexOf(")")).split(" ")[2] === String(pid) ? [Number(name)] : []
    } catch {
      return []
    }
  })

/** On a connection of its own, which the system gives to either worker. 0: there was no answer. */
const call = (port: number, method: string, path: string, body = "", headers: Readonly<Record<string, string>> = {}) =>
  new Promise<{ readonly status: number; readonly text: string }>(resolve => {
    const none = () => resolve({ status: 0, text: "" })
    const length = { "content-length": String(Buffer.byteLength(body)) }
    const all = { ...length, connection: "close", authorization: `Bearer ${token}`, ...headers }
    const sent = request({ host: "127.0.0.1", port, method, path, agent: false, headers: all }, response => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece
      })
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }))
      response.on("error", none)
    })
    sent.on("error", none)
    sent.end(body)
  })

const linux = process.platform === "linux"

describe("several workers on one port", { skip: linux ? false : "only Linux shares connections out" }, () => {
  const directory = temporaryDirectory("workers")
  let cluster: Kafka.KafkaCluster
  let running: RunningService | undefined
  let port = 0
  const config = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text)
    return path
  }
  const serve = async (...more: ReadonlyArray<string>): Promise<RunningService> => {
    port = await freePort()
    const file = config(
      "service.yaml",
      `
kafka: { connection: { default: { brokers: "${cluster.bootstrap.join(",")}" } } }
stream: { output: { out: { topic: events } }, producer: { events: { output: out, retry: { enabled: false } } } }
http: { port: ${port}, token: ${token} }
shutdown: { budget: 3s }
`
    )
    running = new RunningService(["serve", "--workers", "2", "--config", file, ...more])
    await running.says(/listening on http/)
    await eventually("both are ready", 20_000, async () => {
      const { text } = await call(port, "GET", "/readyz")
      return text === '{"readiness":"accepting","reasons":[]}' ? true : undefined
    })
    return running
  }
  /** Both workers have been started, and hardly anything more. */
  const begin = async () => {
    const service = new RunningService(["serve", "--workers", "2", "--config", join(directory, "service.yaml")])
    running = service
    const workers = await eventually(
      "two workers",
      10_000,
      () => {
        const all = childrenOf(service.pid)
        return all.length === 2 ? all : undefined
      },
      { everyMs: 1 }
    )
    return { service, workers }
  }
  const metrics = async (name: string, labels = ""): Promise<ReadonlyArray<number>> => {
    const { text } = await call(port, "GET", "/metrics")
    const pattern = new RegExp(`^${name}\\{${labels}worker="\\d"\\} (\\S+)$`, "gm")
    return [...text.matchAll(pattern)].map(([, value]) => Number(value))
  }
  const publish = (id: string) => call(port, "POST", "/v1/topics/events/records", id, { "spillway-id": id })

  before(async () => {
    cluster = await Kafka.start({ topics: [{ name: "events", partitions: 2 }] })
  }, slow)
  after(async () => {
    await running?.end("SIGKILL")
    await cluster?.stop()
    deleteDirectory(directory)
  }, slow)

  it(
    "share the load, one that is killed is replaced, nothing acknowledged is lost, SIGTERM ends all",
    slow,
    async () => {
      const service = await serve()
      const first = Array.from({ length: 60 }, (_, index) => `first-${index}`)
      const answers = await Promise.all(first.map(publish))
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
      const accepted = await metrics("spillway_accepted_records_total")
      assert.equal(accepted.length, 2)
      assert.ok(
        accepted.every(count => count > 0),
        `${accepted}`
      )
      assert.equal(
        accepted.reduce((sum, count) => sum + count, 0),
        60
      )

      const acknowledged = [...first]
      let going = true
      const caller = async (name: string) => {
        for (let index = 0; going; index++) {
          const id = `${name}-${index}`
          if ((await publish(id)).status === 201) acknowledged.push(id)
        }
      }
      const callers = Promise.all(["a", "b", "c", "d", "e", "f"].map(caller))
      const [victim, ...others] = childrenOf(service.pid)
      assert.equal(others.length, 1)
      process.kill(victim ?? 0, "SIGKILL")
      await service.says(/worker \d ended \(SIGKILL\): starting it anew/)
      await eventually("a new one in its place", 20_000, async () => {
        const restarts = await metrics("spillway_worker_restarts_total")
        const up = await metrics("spillway_worker_up")
        return restarts.includes(1) && up.every(one => one === 1) && up.length === 2 ? true : undefined
      })
      assert.equal(childrenOf(service.pid).length, 2)

      await call(port, "POST", "/v1/breakers/default", '{"state":"open"}', { "content-type": "application/json" })
      await eventually("both breakers are forced", 5000, async () => {
        const open = await metrics("spillway_breaker_state", 'connection="default",state="open",')
        return open.length === 2 && open.every(one => one === 1) ? true : undefined
      })
      await call(port, "POST", "/v1/breakers/default", '{"state":"auto"}', { "content-type": "application/json" })
      await eventually("both take records again", 10_000, async () => {
        const statuses = await Promise.all(Array.from({ length: 20 }, (_, index) => publish(`again-${index}`)))
        return statuses.every(({ status }) => status === 201) ? true : undefined
      })

      service.signal("SIGTERM")
      const { code, stdout } = await service.ended
      going = false
      await callers
      assert.equal(code, 0, service.output)
      assert.equal(stdout.match(/^shutdown complete in /gm)?.length, 2, stdout)
      const stored = new Set((await readAll(cluster, "events")).map(record => headerText(record, "spillway-id")))
      assert.deepEqual(
        acknowledged.filter(id => !stored.has(id)),
        []
      )
    }
  )

  it("end with the worst exit code", slow, async () => {
    const service = await serve()
    cluster.broker(1).freeze()
    const answer = publish("stuck")
    await eventually("one of them has it", 10_000, async () =>
      (await metrics("spillway_accepted_records_total")).includes(1) ? true : undefined
    )
    service.signal("SIGTERM")
    assert.equal((await answer).status, 503)
    const { code, stderr, stdout } = await service.ended
    cluster.broker(1).resume()
    assert.match(stdout, /^shutdown complete in /m)
    assert.match(stderr, /shutdown incomplete in /)
    assert.equal(code, 1)
  })

  it("end with the process above them, also when they have only just begun", slow, async () => {
    const gone = (workers: ReadonlyArray<number>) =>
      eventually("both are gone", 10_000, () =>
        workers.every(pid => !readdirSync("/proc").includes(String(pid))) ? true : undefined
      )
    const service = await serve()
    const workers = childrenOf(service.pid)
    await service.end("SIGKILL")
    await gone(workers)
    const begun = await begin()
    for (const pid of begun.workers) process.kill(pid, "SIGSTOP")
    begun.service.signal("SIGKILL")
    for (const pid of begun.workers) process.kill(pid, "SIGCONT")
    await begun.service.ended
    await gone(begun.workers)
  })

  it("end with 0 when the signal comes before they took any record", slow, async () => {
    const { service } = await begin()
    assert.equal((await service.end("SIGTERM")).code, 0, service.output)
  })

  it("end, and with 1, when nobody reads what they write any more", slow, async () => {
    const service = await serve()
    service.closeOutput()
    process.kill(childrenOf(service.pid)[0] ?? 0, "SIGKILL")
    assert.equal((await service.ended).code, 1)
  })

  it("do not begin where they could not share a port, or another service has it", slow, async () => {
    const file = (http: string) => ["--config", join(directory, "service.yaml"), "--config", config("http.yaml", http)]
    const free = await new RunningService(["serve", "--workers", "2", ...file("http: { port: 0 }")]).ended
    assert.equal(free.code, 64)
    assert.match(free.stderr, /http\.port is 0/)
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(port, "127.0.0.1", () => resolve()))
    try {
      const busy = await new RunningService(["serve", "--workers", "2", ...file(`http: { port: ${port} }`)]).ended
      assert.equal(busy.code, 69, busy.stderr)
      assert.match(busy.stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}`))
    } finally {
      await new Promise(resolve => taken.close(resolve))
    }
    const none = await new RunningService(["serve", "--workers", "0", ...file("http: { port: 1 }")]).ended
    assert.equal(none.code, 64)
  })
})
