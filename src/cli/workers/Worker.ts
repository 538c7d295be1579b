/**
 * A worker as the process above it holds it: a process that runs the same command line, and a line to it.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import type { Report } from "../../internal/workerReports.ts"
import * as Itself from "../../runtime/itself.ts"
import { Calls } from "./calls.ts"
import { type FromWorker, isFromWorker, type ToWorker, variable } from "./messages.ts"

export interface End {
  /** 1 for one that a signal killed. */
  readonly code: number
  readonly signal: NodeJS.Signals | null
  readonly why: string
}

export interface Worker {
  readonly ended: Promise<End>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly tell: (message: ToWorker) => void
  /** What it tells of itself; undefined when it does not within the time. */
  readonly report: (withinMs: number) => Promise<Report | undefined>
}

/** @param onMessage not called before this has returned */
export const start = (index: number, onMessage: (message: FromWorker) => void): Worker => {
  const { args, file } = Itself.command()
  const child = spawn(file, [...args, ...process.argv.slice(2)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, [variable]: String(index) }
  })
  const calls = new Calls<Report | undefined>()
  let running = true
  child.on("message", message => {
    if (!isFromWorker(message)) return
    if (message._tag === "Report") calls.answer(message.call, message.report)
    else onMessage(message)
  })
  const ended = new Promise<End>(resolve => {
    const end = (ended: End) => {
      running = false
      calls.answerAll(undefined)
      resolve(ended)
    }
    child.once("error", ({ message }) => end({ code: 1, signal: null, why: message }))
    child.once("exit", (code, signal) =>
      end({ code: code ?? 1, signal, why: code === null ? String(signal) : `exit code ${code}` })
    )
  })
  const tell = (message: ToWorker): void => {
    // It may be gone already: `ended` tells.
    if (running && child.connected) child.send(message, () => {})
  }
  return {
    ended,
    // Not the child's own `kill`: on Deno it works once only, and then hides the exit code.
    signal: signal => {
      if (running && child.pid !== undefined) process.kill(child.pid, signal)
    },
    tell,
    report: async withinMs =>
      running
        ? calls.ask(
            withinMs,
            () => undefined,
            call => tell({ _tag: "Tell", call })
          )
        : undefined
  }
}
