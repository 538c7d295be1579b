import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import manifest from "../package.json" with { type: "json" }
import { deleteDirectory, temporaryDirectory } from "./support/Guard.ts"
import { RunningService, start } from "./support/RunningService.ts"

const directory = temporaryDirectory("main")
after(() => deleteDirectory(directory))

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** Neither Kafka nor SQS is there: nothing listens on these ports. */
const nowhere = file(
  "nowhere.yaml",
  `
kafka: { connection: { default: { brokers: "127.0.0.1:1" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "http://127.0.0.1:1", access_key_id: a, secret_access_key: b } } } } }
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, retry: { queue_id: parked } } }
http: { port: 0 }
shutdown: { budget: 8s }
`
)

/** The fallback writer keeps asking SQS until the shutdown's time is nearly over. */
const slow = { timeout: 60_000 }

const run = (...args: ReadonlyArray<string>) => new RunningService(args).ended

describe("the command line", () => {
  it("explains itself", async () => {
    for (const args of [[], ["--help"], ["serve", "--help"]]) {
      const { code, stdout } = await run(...args)
      assert.equal(code, 0)
      assert.match(stdout, /--config/)
    }
    const { code, stdout } = await run("--version")
    assert.equal(code, 0)
    assert.equal(stdout.trim(), manifest.version)
  })

  it("refuses what it does not understand, with 64", async () => {
    for (const args of [["serve"], ["serve", "--nope", "x"], ["sreve"], ["serve", "--config"]]) {
      const { code, stderr, stdout } = await run(...args)
      assert.equal(code, 64, `${args.join(" ")}: ${stdout}${stderr}`)
      assert.notEqual(`${stdout}${stderr}`.trim(), "")
    }
  })

  it("refuses a log level there is not, with 64", async () => {
    const { code, stderr } = await new RunningService(["--version"], { env: { SPILLWAY_LOG_LEVEL: "loud" } }).ended
    assert.equal(code, 64)
    assert.match(stderr, /SPILLWAY_LOG_LEVEL: expected one of debug, info, warning, error/)
  })

  it("lists what is wrong with a configuration, with 78 and no stack", async () => {
    const bad = file("bad.yaml", "http: { prot: 1 }\nshutdown: { budget: soon }\n")
    const { code, stderr, stdout } = await run("serve", "--config", nowhere, "--config", bad)
    assert.equal(code, 78)
    assert.equal(stdout, "")
    assert.match(stderr, /^The configuration has 2 problems:$/m)
    assert.match(stderr, /bad\.yaml:1:\d+ {2}http\.prot: .*port/)
    assert.match(stderr, /bad\.yaml:2:\d+ {2}shutdown\.budget: /)
    assert.doesNotMatch(stderr, /^\s+at /m)
  })

  it("says that it cannot listen, with 69", async () => {
    const taken = createServer()
    const port = await new Promise<number>(resolve => {
      taken.listen(0, "127.0.0.1", () => {
        const address = taken.address()
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      })
    })
    try {
      const busy = file("busy.yaml", `http: { port: ${port} }\n`)
      const { code, stderr } = await run("serve", "--config", nowhere, "--config", busy)
      assert.equal(code, 69, stderr)
      assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}`))
    } finally {
      await new Promise(resolve => taken.close(resolve))
    }
  })
})

describe("doctor without anything to look at", () => {
  it("says that nothing could be reached, with 69, and why", async () => {
    const { code, stderr, stdout } = await run("doctor", "--config", nowhere)
    assert.equal(code, 69, stderr)
    assert.match(stdout, /^ {2}error connection default: .*127\.0\.0\.1:1.* \[kafka-reachable\]$/m)
    assert.match(stdout, /^ {2}error queue parked: .* \[queue-reachable\]$/m)
    assert.match(stdout, /^Nothing of what the configuration names could be reached\.$/m)
  })

  it("writes one JSON document, and nothing beside it", async () => {
    const { code, stderr, stdout } = await run("doctor", "--json", "--config", nowhere)
    assert.equal(code, 69)
    assert.equal(stderr, "")
    const { findings, reached } = JSON.parse(stdout)
    assert.equal(reached, false)
    assert.equal(findings[0].code, "kafka-reachable")
  })
})

describe("the service without anything to connect to", () => {
  it("listens at once, passes over a bare --, and ends with an account and 0", async () => {
    const service = await start(["--", "--config", nowhere])
    const [line] = service.output.split("\n")
    assert.match(
      line ?? "",
      /^spillway \d+\.\d+\.\d+ listening on http:\/\/127\.0\.0\.1:\d+ \(producers: events to events; kafka: 127\.0\.0\.1:1; queues: parked\)$/
    )
    assert.equal((await fetch(`${service.url}/healthz`)).status, 200)
    const { code, stdout } = await service.end()
    assert.equal(code, 0)
    assert.match(
      stdout,
      /^shutdown complete in \d+ ms: accepted=0 delivered=0 diverted=0 spooled=0 rejected=0 failed=0 in_memory=0 \(stop replay \d+ ms, flush \d+ ms, park \d+ ms, spool \d+ ms, end polls \d+ ms\)$/m
    )
  })

  it(
    "refuses new records and settles those it has while it shuts down; a second signal changes nothing",
    slow,
    async () => {
      const service = await start(["--config", nowhere], { env: { SPILLWAY_LOG: "json", SPILLWAY_LOG_LEVEL: "debug" } })
      const publish = () => fetch(`${service.url}/v1/topics/events/records`, { method: "POST", body: '{"n":1}' })
      const open = publish()
      await service.says(/circuit breaker of default \(cluster\): open/)
      service.signal("SIGINT")
      await service.says(/SIGINT: shutting down within \d+ ms/)
      service.signal("SIGTERM")
      await service.says(/SIGTERM: already shutting down/)
      const late = await publish()
      assert.equal(late.status, 503)
      assert.match(await late.text(), /"reason":"Closed"/)
      assert.equal((await fetch(`${service.url}/readyz`)).status, 503)
      const answer = await open
      assert.equal(answer.status, 503)
      assert.match(await answer.text(), /"reason":"FallbackUnavailable"/)
      const { code, stdout } = await service.ended
      // Its caller was told; whoever runs the service is told as well.
      assert.equal(code, 1)
      const lines = stdout.trim().split("\n")
      const entries = lines.map(line => JSON.parse(line))
      const messages = entries.map(({ message }) => message)
      const opened = entries.find(({ event, state }) => event === "breaker" && state === "open")
      assert.deepEqual([opened.level, opened.connection, opened.scope], ["warning", "default", "cluster"])
      assert.ok(messages.some(message => /^shutdown: flush within \d+ ms, 1 in memory$/.test(message)))
      // A change of readiness may be looked at once more behind it.
      const { accepted, failed, level, message } = entries.findLast(({ event }) => event === "shutdown")
      assert.deepEqual({ accepted, failed, level }, { accepted: 1, failed: 1, level: "error" })
      assert.match(
        message,
        /^shutdown incomplete .* accepted=1 delivered=0 .* failed=1 in_memory=0 .*; 1 found no durable place and their callers/
      )
    }
  )

  it("can still be ended when nobody reads its log any more", slow, async () => {
    const service = await start(["--config", nowhere])
    service.closeOutput()
    service.signal("SIGTERM")
    const { code, signal } = await service.ended
    assert.equal(signal, null)
    assert.notEqual(code, null)
  })

  it("ends through the same account, and with 1, when something throws where nobody catches", async () => {
    const preload = file("throws.mjs", 'process.on("SIGUSR2", () => { throw new Error("nobody catches this") })\n')
    const service = await start(["--config", nowhere], { preload })
    service.signal("SIGUSR2")
    const { code, stderr, stdout } = await service.ended
    assert.equal(code, 1)
    assert.match(stderr, /uncaught: .*nobody catches this/)
    assert.match(stdout, /^uncaught exception: shutting down/m)
    assert.match(stdout, /^shutdown complete in /m)
  })
})
