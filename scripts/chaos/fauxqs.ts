/**
 * fauxqs in a process of its own, so that it shares no event loop with the witness; it ends with its standard input.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { guardProcess, releaseProcess } from "../../test/support/Guard.ts"

const script = join(fileURLToPath(new URL("../..", import.meta.url)), "bench/sqsServer.ts")

export interface SqsServer {
  readonly endpoint: string
  readonly stop: () => Promise<void>
}

export const start = (): Promise<SqsServer> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script], { detached: true, stdio: ["pipe", "pipe", "inherit"] })
    const { pid } = child
    if (pid !== undefined) guardProcess(pid)
    const ended = new Promise<void>(done => {
      child.once("close", () => {
        if (pid !== undefined) releaseProcess(pid)
        done()
        reject(new Error("fauxqs ended"))
      })
    })
    const stop = () => {
      child.kill("SIGKILL")
      return ended
    }
    child.stdout.on("data", chunk => resolve({ endpoint: String(chunk).trim(), stop }))
  })
