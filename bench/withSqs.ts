/**
 * SQS and S3 beside what is measured, not in it.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { guardProcess, releaseProcess } from "../test/support/Guard.ts"

/** fauxqs, alone in a process; it ends when its standard input does. */
export const withSqs = async <A>(use: (endpoint: string) => Promise<A>): Promise<A> => {
  const file = fileURLToPath(new URL("sqsServer.ts", import.meta.url))
  const args = "Deno" in globalThis ? ["run", "-A", "--no-check", file] : [file]
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
  if (child.pid !== undefined) guardProcess(child.pid)
  const ended = new Promise<void>(resolve => child.once("exit", () => resolve()))
  try {
    const endpoint = await new Promise<string>((resolve, reject) => {
      child.once("error", reject)
      child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString("utf8").trim()))
      child.once("exit", code => reject(new Error(`the SQS server ended with ${code}`)))
    })
    return await use(endpoint)
  } finally {
    child.stdin.end()
    await ended
    if (child.pid !== undefined) releaseProcess(child.pid)
  }
}
