/**
 * `spillway config` as a process; what it prints is tested in configReport.test.ts, what is found in AppConfig/faulty.test.ts.
 */
import * as assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { schemaFile } from "../../scripts/config-schema.ts"
import { fileOf } from "../AppConfig/texts.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import { RunningService } from "../support/RunningService.ts"

const directory = temporaryDirectory("config")
after(() => deleteDirectory(directory))

const good = ["--config", fileOf("example.yaml"), "--config", fileOf("local.yaml")]

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new RunningService(["config", ...args], { env }).ended

describe("spillway config", () => {
  test("check: 0 and a summary, or 78 and every fault of every file", async () => {
    const fine = await run(["check", ...good])
    assert.equal(fine.code, 0, fine.stderr)
    assert.match(fine.stdout, /^The configuration is good\.\n\nproducer example_producer\n/)
    const broken = join(directory, "broken.yaml")
    writeFileSync(broken, "http:\n  port: '80\nbuffer:\n  max_wait: 1\n")
    const args = ["check", ...good, "--config", broken, "--config", join(directory, "absent.yaml")]
    const { code, stderr, stdout } = await run(args, { SPILLWAY_HTTP__HOST: "" })
    assert.equal(code, 78)
    assert.equal(stderr, "")
    assert.match(stdout, /^The configuration has 4 problems:\n/)
    for (const fault of [
      "absent.yaml  the file cannot be read: no such file",
      "broken.yaml:2:9  http: this quote is not closed\n   2 |   port: ***\n     |         ^",
      "broken.yaml:4:13  buffer.max_wait: expected a duration",
      'environment SPILLWAY_HTTP__HOST  http.host: expected a text, found ""'
    ]) {
      assert.ok(stdout.includes(fault), `${fault}\n${stdout}`)
    }
  })

  test("show: values with their origins, as JSON alone on standard output", async () => {
    const { code, stderr, stdout } = await run(["show", ...good, "--json"], { SPILLWAY_HTTP__TOKEN: "hunter2" })
    assert.equal(code, 0, stderr)
    const settings: ReadonlyArray<{ path: string }> = JSON.parse(stdout)
    assert.deepEqual(
      settings.find(({ path }) => path === "http.token"),
      { path: "http.token", value: "<redacted>", origin: { kind: "environment", variable: "SPILLWAY_HTTP__TOKEN" } }
    )
    const refused = await run(["show", "--config", join(directory, "absent.yaml")])
    assert.equal(refused.code, 78)
    assert.equal(refused.stdout, "")
    assert.match(refused.stderr, /absent\.yaml {2}the file cannot be read/)
  })

  test("schema: the published one", async () => {
    const { code, stdout } = await run(["schema"])
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(stdout), JSON.parse(readFileSync(schemaFile, "utf8")))
  })

  test("help, hints and completions", async () => {
    const help = await run(["check", "--help"])
    assert.equal(help.code, 0)
    assert.match(
      help.stdout,
      /^List every fault[\s\S]*\nUsage:\n {2}spillway config check --config file\.\.\. \[--json\]\n/
    )
    for (const line of help.stdout.split("\n")) assert.ok(line.length <= 80, line)
    const wrong = await run(["chek"])
    assert.equal(wrong.code, 64)
    assert.match(wrong.stderr, /See: spillway config --help\n$/)
    const script = await new RunningService(["--completions", "bash"]).ended
    assert.equal(script.code, 0)
    assert.match(script.stdout, /complete -F _spillway_bash_completions .* spillway\n$/)
  })
})
