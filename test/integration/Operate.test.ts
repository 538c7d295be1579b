import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import { type Ended, type Options, RunningService, start } from "../support/RunningService.ts"
import { headerText, type StoredRecord } from "../support/StoredRecord.ts"

const slow = { timeout: 120_000 }
const token = "0perator"
const env = { SPILLWAY_TOKEN: token }

const textOf = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))

describe("operating a service", () => {
  const directory = temporaryDirectory("operate")
  const file = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text)
    return path
  }
  let cluster: Kafka.KafkaCluster
  let sqs: Fauxqs.Fauxqs
  let service: RunningService
  let config: string
  let urls: ReadonlyArray<string>

  const run = (args: ReadonlyArray<string>, options: Options = {}): Promise<Ended> =>
    new RunningService(args, { env, ...options }).ended
  const publish = (args: ReadonlyArray<string>, options?: Options) =>
    run(["publish", "--topic", "events", ...args], options)

  const settings = (brokers: string, endpoint: string) => `
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, retry: { queue_id: parked, create: true, after: 0s, wait_time: 1 } } }
kafka: { connection: { default: { brokers: "${brokers}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: a, secret_access_key: b } } } } }
http: { port: 0, token: ${token} }
shutdown: { budget: 10s }
`

  before(async () => {
    ;[cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: "events", partitions: 3 }] }),
      Fauxqs.start({ persistent: false })
    ])
    config = file("spillway.yaml", settings(cluster.bootstrap.join(","), sqs.endpoint))
    service = await start(["--config", config, "--without-retry"])
    urls = ["--url", service.url]
    await service.says(/readiness: accepting/)
  }, slow)
  after(async () => {
    await service?.end("SIGKILL")
    await Promise.all([cluster?.stop(), sqs?.stop()])
    deleteDirectory(directory)
  }, slow)

  const stored = async (value: string): Promise<StoredRecord> => {
    const found = (await readAll(cluster, "events")).filter(record => textOf(record.value) === value)
    assert.equal(found.length, 1, `${found.length} records have the value ${value}`)
    return found[0] ?? assert.fail()
  }
  const parked = () => {
    const messages = sqs.server().inspectQueue("parked")?.messages
    return messages === undefined ? 0 : messages.ready.length + messages.delayed.length + messages.inflight.length
  }

  it("publishes one record, and says where it is", slow, async () => {
    const one = [
      "--key",
      "user-1",
      "--header",
      "origin=test",
      "--id",
      "my-id",
      "--partition",
      "2",
      "--value",
      '{"n":1}'
    ]
    const { code, stderr, stdout } = await publish([...urls, ...one])
    assert.equal(code, 0, stderr)
    assert.equal(stdout, "delivered, partition 2 offset 0, id my-id\n")
    const record = await stored('{"n":1}')
    assert.equal(record.partition, 2)
    assert.equal(textOf(record.key), "user-1")
    assert.equal(headerText(record, "origin"), "test")
    assert.equal(headerText(record, "spillway-id"), "my-id")
  })

  it("publishes the bytes of standard input", slow, async () => {
    const bytes = new Uint8Array([0, 255, 10, 13, 7])
    const { code, stderr, stdout } = await publish([...urls, "--json", "--id", "bytes"], { input: bytes })
    assert.equal(code, 0, stderr)
    const { result, seconds, ...summary } = JSON.parse(stdout)
    assert.equal(typeof seconds, "number")
    assert.deepEqual(summary, {
      ...{ records: 1, delivered: 1, diverted: 0, spooled: 0, rejected: 0, failed: 0 },
      interrupted: false,
      failures: []
    })
    assert.equal(result.id, "bytes")
    const found = (await readAll(cluster, "events")).find(record => headerText(record, "spillway-id") === "bytes")
    assert.deepEqual([...(found?.value ?? [])], [...bytes])
  })

  it("publishes a file through the service and by itself, and names the lines that are none", slow, async () => {
    const lines = (name: string) => Array.from({ length: 2000 }, (_, n) => `{"key":"${n}","value":"${name}-${n}"}`)
    const ways = { http: urls, own: ["--config", config] }
    const results = await Promise.all(
      Object.entries(ways).map(([name, way]) => {
        const records = file(`${name}.ndjson`, lines(name).with(999, '{"vlaue":1}').join("\n"))
        return publish([...way, "--ndjson", "--json", "--file", records])
      })
    )
    for (const { code, stderr, stdout } of results) {
      assert.equal(code, 65, stderr)
      assert.match(stderr, /^line 1000: rejected, InvalidRecord: vlaue: unknown member/m)
      const { delivered, failures, rejected } = JSON.parse(stdout)
      assert.deepEqual([delivered, rejected], [1999, 1])
      assert.deepEqual([failures.length, failures[0].line, failures[0].reason], [1, 1000, "InvalidRecord"])
    }
    const all = await readAll(cluster, "events")
    for (const name of Object.keys(ways)) {
      const found = all.filter(({ value }) => textOf(value)?.startsWith(`${name}-`))
      assert.equal(found.length, 1999)
      assert.equal(new Set(found.map(record => headerText(record, "spillway-id"))).size, 1999)
    }
    // Its account is no part of the result.
    assert.match(results[1]?.stderr ?? "", /shutdown complete in .* accepted=1999 delivered=1999/)
  })

  it("forces the breaker, shows it, and leaves what is diverted to an instance that replays", slow, async () => {
    const watch = new RunningService(["status", "--watch", ...urls], { env })
    await watch.says(/readiness {3}accepting/)
    const forced = await run(["breaker", "open", ...urls])
    assert.equal(forced.code, 0, forced.stderr)
    assert.equal(forced.stdout, "the circuit breaker of default is forced open: everything is diverted\n")
    await watch.says(/circuit breaker of default \(cluster\): open: forced open by an operator/)
    await watch.says(/readiness: degraded/)
    await watch.end("SIGINT")

    const diverted = await publish([...urls, "--value", "past Kafka", "--id", "diverted"])
    assert.equal(diverted.code, 0, diverted.stderr)
    assert.match(diverted.stdout, /^diverted/)
    const shown = await run(["status", ...urls])
    assert.equal(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /breakers {4}default {2}open for \d+ s: forced open by an operator/)
    assert.match(shown.stdout, /not by this instance/)
    const auto = await run(["breaker", "auto", "--json", ...urls])
    assert.equal(JSON.parse(auto.stdout).breaker.state, "closed")
    assert.equal(parked(), 1)

    const retry = new RunningService(["retry", "--config", config])
    try {
      await retry.says(/listening on http:.*\(replay only; /)
      await eventually("an empty queue", 20_000, async () => (parked() === 0 ? true : undefined))
      assert.equal(headerText(await stored("past Kafka"), "spillway-id"), "diverted")
      const authorization = { authorization: `Bearer ${token}` }
      const intake = { method: "POST", body: "x", headers: authorization }
      const refused = await fetch(`${retry.url}/v1/topics/events/records`, intake)
      assert.equal(refused.status, 503)
      assert.match(await refused.text(), /"Closed","message":"this instance only replays/)
      assert.equal((await fetch(`${retry.url}/healthz`)).status, 200)
      const status = await run(["status", "--json", "--url", retry.url])
      assert.equal(JSON.parse(status.stdout).accounting.redelivered, 1)
    } finally {
      const { code, stdout } = await retry.end()
      assert.equal(code, 0)
      assert.match(stdout, /^shutdown complete in /m)
    }
  })

  it("publishes past a Kafka that is away, and says when nothing takes a record", slow, async () => {
    const past = file("past.yaml", settings("127.0.0.1:1", sqs.endpoint))
    const nowhere = file("nowhere.yaml", "stream: { producer: { events: { retry: { enabled: false } } } }")
    const [diverted, failed] = await Promise.all([
      publish(["--config", past, "--value", "to the queue"]),
      publish(["--config", past, "--config", nowhere, "--value", "to nobody", "--retry-for", "0", "--id", "lost"])
    ])
    assert.equal(diverted.code, 0, diverted.stderr)
    assert.match(diverted.stdout, /^diverted, partition|^diverted\n/)
    assert.equal(parked(), 1)
    assert.equal(failed.code, 69)
    assert.match(failed.stderr, /^failed, FallbackUnavailable: .*\(id lost\)$/m)
    assert.equal(failed.stdout, "failed\n")
  })

  it("says what a command needs, and that nobody is there", slow, async () => {
    for (const [args, code, said] of [
      [["status", "--url", "http://127.0.0.1:1"], 69, /the service at http:\/\/127\.0\.0\.1:1 cannot be reached/],
      [["publish", "--url", "http://127.0.0.1:1", "--topic", "events", "--value", "1"], 69, /cannot be reached/],
      [["breaker", "open", ...urls, "--connection", "other"], 69, /no connection is named other; there is default/],
      [["publish", "--topic", "t", ...urls, "--file", join(directory, "none")], 65, /none cannot be read/]
    ] as const) {
      const ended = await run(args)
      assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stderr}`)
      assert.match(ended.stderr, said)
      assert.equal(ended.stdout, "")
    }
    const stranger = await run(["status", ...urls], { env: { SPILLWAY_TOKEN: "wrong" } })
    assert.equal(stranger.code, 69)
    assert.match(stranger.stderr, /answered 401: a valid bearer token is needed/)
  })

  it("ends the streams with the service, whose last status they have", slow, async () => {
    const response = await fetch(`${service.url}/v1/status/events`, { headers: { authorization: `Bearer ${token}` } })
    const text = response.text()
    const { code } = await service.end()
    assert.equal(code, 0)
    const last = (await text).trim().split("\n\n").at(-1) ?? ""
    assert.match(last, /"readiness":"refusing"/)
    assert.match(last, /"inMemory":0/)
  })
})
