import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { test } from "node:test"
import { DeadlineExceeded, eventually } from "./support/eventually.ts"
import { runJavaSource } from "./support/Java.ts"
import { freePort, freePorts } from "./support/ports.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const victim = `
import { ServerProcess } from ${JSON.stringify(new URL("./support/ServerProcess.ts", import.meta.url).href)}
import { temporaryDirectory } from ${JSON.stringify(new URL("./support/Guard.ts", import.meta.url).href)}
const directory = temporaryDirectory("guarded")
const start = async name => {
  const server = new ServerProcess(name, directory + "/log", async () => ({ file: "sleep", args: ["600"] }))
  await server.start()
  return server
}
const running = await start("running")
const frozen = await start("frozen")
frozen.freeze()
console.log(JSON.stringify({ directory, pids: [running.pid, frozen.pid] }))
setInterval(() => undefined, 1_000)
`

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  test(`servers, frozen ones too, and their files are gone after ${signal} to the run`, async () => {
    const scratch = mkdtempSync(join(tmpdir(), "spillway-victim-"))
    const file = join(scratch, "victim.ts")
    writeFileSync(file, victim)
    const deno = "deno" in process.versions
    const run = spawn(process.execPath, [...(deno ? ["run", "--allow-all", "--no-check"] : []), file], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    try {
      const line = await new Promise<string>((resolve, reject) => {
        run.stdout.once("data", (chunk: Uint8Array) => resolve(Buffer.from(chunk).toString("utf8")))
        run.once("exit", code => reject(new Error(`ended with ${code} before it started its servers`)))
      })
      const { directory, pids }: { directory: string; pids: ReadonlyArray<number> } = JSON.parse(line)
      assert.equal(pids.length, 2)
      assert.ok(pids.every(isAlive) && existsSync(directory))
      run.kill(signal)
      await eventually("the end of the servers", 10_000, () => (pids.some(isAlive) ? undefined : true))
      await eventually("the end of their files", 10_000, () => (existsSync(directory) ? undefined : true))
    } finally {
      run.kill("SIGKILL")
      rmSync(scratch, { recursive: true, force: true })
    }
  })
}

test("free ports are distinct, free, and outside the ephemeral range", async () => {
  const ports = await freePorts(20)
  assert.equal(new Set(ports).size, 20)
  assert.ok(ports.every(port => port >= 20_000 && port < 32_000))
  const server = createServer()
  const port = await freePort()
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", resolve)
  })
  await new Promise(resolve => server.close(resolve))
})

test("waiting ends with the answer, at the deadline with the last error, or at once when hopeless", async () => {
  let asked = 0
  assert.equal(await eventually("third", 10_000, () => (++asked === 3 ? asked : undefined), { everyMs: 1 }), 3)
  const failing = () => Promise.reject(new Error("not yet"))
  await assert.rejects(eventually("never", 20, failing, { everyMs: 1 }), (error: unknown) => {
    assert.ok(error instanceof DeadlineExceeded)
    assert.equal(error.message, "never: not within 20 ms; last error: not yet")
    return true
  })
  await assert.rejects(eventually("dead", 60_000, failing, { giveUp: () => "it ended" }), /dead: it ended/)
})

test("a Java program of one file runs against Kafka's jars", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "spillway-java-"))
  try {
    const file = join(scratch, "Version.java")
    const version = "org.apache.kafka.common.utils.AppInfoParser.getVersion()"
    const body = `System.out.println(${version} + " " + args[0] + new java.util.Scanner(System.in).next());`
    writeFileSync(file, `class Version { public static void main(String[] args) { ${body} } }`)
    assert.equal((await runJavaSource(file, ["arg-"], { input: "input\n" })).stdout, "4.1.2 arg-input\n")
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})
