/**
 * Follows a running service's status until the process is ended.
 */
import process from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import * as Exit from "../exit.ts"
import { refusal, type Service, send, unreachable } from "../service.ts"
import { type Palette, picture } from "./picture.ts"
import { decode } from "./StatusPage.ts"
import { events, type ServerSentEvent } from "./serverSentEvents.ts"

export interface Options {
  readonly service: Service
  /** Each event as a line of JSON. */
  readonly json: boolean
  readonly palette: Palette
  /** Draw over the last picture; else one picture, then a line for each change. */
  readonly redraw: boolean
}

const againMs = 1000
/** A stream that says nothing for so long is lost: there is a status every second. */
const quietMs = 10_000
/** Changes shown below the picture. */
const shown = 10
const clear = "\u001b[H\u001b[2J"

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** A change as one line. */
export const sentence = ({ data, name }: ServerSentEvent): string => {
  const change: unknown = JSON.parse(data)
  if (!isObject(change)) return name
  const { at, connection, readiness, reason, reasons, scope, state } = change
  const time = typeof at === "number" ? new Date(at).toISOString() : ""
  const why = Array.isArray(reasons) ? reasons.join("; ") : typeof reason === "string" ? reason : ""
  const what =
    name === "readiness" ? `readiness: ${readiness}` : `circuit breaker of ${connection} (${scope}): ${state}`
  return `${time}  ${what}${why === "" ? "" : `: ${why}`}`.replaceAll(/\p{Cc}/gu, " ")
}

/** Rejects when the service cannot be reached at first, or refuses; later it is waited for. */
export const watch = async ({ json, palette, redraw, service }: Options): Promise<never> => {
  const changes: Array<string> = []
  let lastId = ""
  let drawn = false
  const show = (event: ServerSentEvent) => {
    if (event.id !== "") lastId = event.id
    if (json) return void process.stdout.write(`{"event":${JSON.stringify(event.name)},"data":${event.data}}\n`)
    if (event.name === "status") {
      if (drawn && !redraw) return
      const text = picture(decode(JSON.parse(event.data)), Date.now(), palette)
      const below = changes.length === 0 ? "" : `\n${changes.join("\n")}\n`
      process.stdout.write(redraw ? `${clear}${text}${below}` : text)
      drawn = true
      return
    }
    const line = sentence(event)
    if (!redraw) return void process.stdout.write(`${line}\n`)
    changes.push(line)
    if (changes.length > shown) changes.shift()
  }
  for (let lost = false, once = false; ; ) {
    const abort = new AbortController()
    const quiet = setTimeout(() => abort.abort(new Error("it says nothing any more")), quietMs)
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" }
      if (lastId !== "") headers["last-event-id"] = lastId
      const response = await send(service, "/v1/status/events", { headers, signal: abort.signal })
      if (!response.ok || response.body === null) throw await refusal(service, response)
      once = true
      lost = false
      for await (const event of events(response.body)) {
        quiet.refresh()
        show(event)
      }
      throw new Error("it ended the stream")
    } catch (cause) {
      const error = cause instanceof Exit.CommandError ? cause : unreachable(service, cause)
      if (!once) throw error
      if (!lost) process.stderr.write(`${error.message}; waiting for it\n`)
      lost = true
    } finally {
      clearTimeout(quiet)
    }
    await delay(againMs)
  }
}
