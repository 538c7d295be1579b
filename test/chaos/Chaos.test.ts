import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { it } from "node:test"
import { guardProcess, releaseProcess } from "../support/Guard.ts"
import { root } from "../support/RunningService.ts"

const seed = 20
const runtime = "Deno" in globalThis ? "deno" : "bun"
const faults = ["kafka-lost-acks", "sqs-failed-entries", "service-kill-while-spooling", "spot-notice"]

/** What a run says: its story, and its last line. */
const chaos = (args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number | null; readonly story: string; readonly result: string }>((resolve, reject) => {
    // The conductor runs on Bun; what is under test runs on the runtime of this test.
    const child = spawn(join(root, "node_modules/.bin/bun"), ["scripts/chaos.ts", ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"]
    })
    const { pid } = child
    if (pid !== undefined) guardProcess(pid)
    let story = ""
    let result = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      result += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      story += text
    })
    child.once("error", reject)
    child.once("close", code => {
      if (pid !== undefined) releaseProcess(pid)
      resolve({ code, story, result })
    })
  })

it("loses nothing in a minute of chaos, and explains each duplicate", { timeout: 240_000 }, async () => {
  const chosen = ["--seed", String(seed), "--faults", faults.join(",")]
  const { code, result, story } = await chaos([...chosen, "--minutes", "0.6", "--runtime", runtime, "--json"])
  assert.equal(code, 0, story + result)
  const told = JSON.parse(result)
  assert.equal(told.lost, 0)
  assert.equal(told.unexplainedDuplicates, 0)
  assert.ok(told.delivered > 0 && told.diverted > 0 && told.spooled > 0, result)
  assert.ok(Object.keys(told.faults).length >= 3, result)
})
