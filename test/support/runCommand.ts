/**
 * Run a command to its end and collect what it says.
 */
import { spawn } from "node:child_process"
import type { Command } from "./Engine.ts"
import { guardContainer, guardProcess, releaseProcess } from "./Guard.ts"

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** Written to its standard input, which is then closed. */
  readonly input?: string | Uint8Array
  /** SIGKILL after this long; 120 000 ms by default. */
  readonly deadlineMs?: number
  /** Receives standard output in pieces instead of `stdout`. */
  readonly onStdout?: (chunk: Uint8Array) => void
  readonly cwd?: string
}

/** Fails when the command ends with anything but 0, with the end of its output in the message. */
export const runCommand = (command: Command, options: CommandOptions = {}): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const { deadlineMs = 120_000, input, onStdout } = options
    const what = [command.file, ...command.args.filter(arg => !arg.includes("*"))].join(" ").slice(0, 300)
    const child = spawn(command.file, [...command.args], {
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd })
    })
    if (child.pid !== undefined) guardProcess(child.pid)
    if (command.container !== undefined) guardContainer(command.container)
    const stdout: Array<Uint8Array> = []
    const stderr: Array<Uint8Array> = []
    let expired = false
    const timer = setTimeout(() => {
      expired = true
      child.kill("SIGKILL")
    }, deadlineMs)
    child.stdout?.on("data", (chunk: Uint8Array) => (onStdout === undefined ? stdout.push(chunk) : onStdout(chunk)))
    child.stderr?.on("data", (chunk: Uint8Array) => stderr.push(chunk))
    child.stdin?.on("error", () => undefined)
    if (input !== undefined) child.stdin?.end(input)
    child.once("error", error => {
      clearTimeout(timer)
      reject(error)
    })
    child.once("close", code => {
      clearTimeout(timer)
      if (child.pid !== undefined) releaseProcess(child.pid)
      const result = { stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8") }
      if (code === 0) return resolve(result)
      const why = expired ? `did not end within ${deadlineMs} ms` : `ended with ${code}`
      reject(new Error(`${what} ${why}\n${`${result.stdout}\n${result.stderr}`.trim().slice(-2_000)}`))
    })
  })
