import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Environment from "../../src/cli/environment.ts"
import * as Publish from "../../src/cli/publish.ts"
import * as Service from "../../src/cli/service.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("arguments")
after(() => deleteDirectory(directory))

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const config = (name: string, http: string) =>
  file(
    name,
    `
kafka: { connection: { default: { brokers: "127.0.0.1:1" } } }
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, retry: { enabled: false } } }
http: ${http}
`
  )

describe("where the service is", () => {
  const find = (given: Partial<Service.Given>) =>
    Effect.runPromise(
      Effect.merge(Service.find({ url: Option.none(), tokenFile: Option.none(), config: [], ...given }))
    )
  const code = async (given: Partial<Service.Given>) => {
    const found = await find(given)
    return found instanceof Error && "code" in found ? found.code : found
  }

  it("is said by an address, or by the configuration it runs with", async () => {
    assert.deepEqual(await find({}), { url: "http://127.0.0.1:8080", token: undefined })
    assert.deepEqual(await find({ url: Option.some("https://h.example:1/") }), {
      url: "https://h.example:1",
      token: undefined
    })
    const everywhere = config("everywhere.yaml", '{ host: "::", port: 9000, token: abc }')
    assert.deepEqual(await find({ config: [everywhere] }), { url: "http://[::1]:9000", token: "abc" })
    const token = file("token", "from-file\n")
    assert.deepEqual(await find({ config: [everywhere], tokenFile: Option.some(token) }), {
      url: "http://[::1]:9000",
      token: "from-file"
    })
  })

  it("is a usage error when it cannot be told", async () => {
    assert.equal(await code({ url: Option.some("http://h"), config: ["a.yaml"] }), 64)
    assert.equal(await code({ url: Option.some("nowhere") }), 64)
    assert.equal(await code({ url: Option.some("ftp://h") }), 64)
    assert.equal(await code({ config: [config("any.yaml", "{ port: 0 }")] }), 64)
    assert.equal(await code({ tokenFile: Option.some(join(directory, "none")) }), 64)
  })
})

describe("what to publish", () => {
  /** The error that `publish` ends with; each is found before anything is sent. */
  const ends = (...args: ReadonlyArray<string>) =>
    Effect.runPromise(
      Command.run(Publish.command, { name: "publish", version: "0" })(["", "", "--topic", "t", ...args]).pipe(
        Effect.flip,
        Effect.provide(Environment.layer)
      )
    )

  it("must be one thing", async () => {
    for (const [args, message] of [
      [["--ndjson", "--key", "k"], "--key is for one record; with --ndjson each line has its own"],
      [["--ndjson", "--header", "a=b"], "--header is for one record; with --ndjson each line has its own"],
      [["--value", "1", "--file", "f"], "give --value or --file, not both"],
      [["--value", "1", "--header", "=b"], "--header: expected name=value, got =b"],
      [["--value", "1", "--in-flight", "0"], "--in-flight: expected 1 or more, got 0"],
      [["--value", "1", "--retry-for", "-1"], "--retry-for: expected 0 or more seconds, got -1"],
      [["--value", "1", "--url", "http://h", "--config", "f"], "give --url or --config, not both"]
    ] as const) {
      const error = await ends(...args)
      assert.deepEqual(
        { message: "message" in error && error.message, code: "code" in error && error.code },
        { message, code: 64 }
      )
    }
  })
})
