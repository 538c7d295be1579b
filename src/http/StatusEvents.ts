/**
 * `GET /v1/status/events`: the status as server-sent events (WHATWG HTML, section 9.2). `status` is all of it, once a second
 * and after each change; `breaker` and `readiness` are the changes, kept for a while for those who come back.
 */
import type { Readiness } from "../Health.ts"
import type { Service as Spillway } from "../Spillway.ts"
import type { AnswerStream, Sink } from "./Answer.ts"
import { statusJson } from "./statusJson.ts"

/** Streams open at once. */
const mostStreams = 32
/** Changes kept. */
const kept = 256
/** Changes that come together are sent together, ms. */
const collectMs = 20

export interface Options {
  readonly spillway: Pick<Spillway, "status" | "onBreakerChange">
  /** Between two whole statuses, ms; 1000 by default. */
  readonly everyMs?: number
}

export interface StatusEvents {
  /**
   * Behind `lastEventId` with what has changed since, as far as it is kept; without one from now on. Undefined: as many are
   * open as may be.
   */
  readonly stream: (lastEventId: string | null) => AnswerStream | undefined
  /** Each stream gets the status as it is now, and ends. */
  readonly end: () => void
}

interface Open {
  readonly sink: Sink
  /** Number of the last change it has. */
  seen: number
}

/** One JSON value to a line: there are no line breaks in it. */
const event = (id: string, name: string, data: string): string => `id: ${id}\nevent: ${name}\ndata: ${data}\n\n`

export const make = ({ everyMs = 1000, spillway }: Options): StatusEvents => {
  /** Of this process: ids of an earlier one are not taken for its own. */
  const run = crypto.randomUUID().slice(0, 8)
  const changes: Array<{ readonly number: number; readonly text: string }> = []
  const open = new Set<Open>()
  let last = 0
  let readiness: Readiness | undefined
  let collecting = false
  let every: ReturnType<typeof setInterval> | undefined

  const note = (name: string, data: object) => {
    last++
    changes.push({ number: last, text: event(`${run}-${last}`, name, JSON.stringify({ at: Date.now(), ...data })) })
    if (changes.length > kept) changes.shift()
  }

  /** The status as an event; a changed readiness is noted first. */
  const look = (): string => {
    const status = spillway.status()
    const { reasons, readiness: now } = status.health
    if (readiness !== undefined && now !== readiness) note("readiness", { readiness: now, reasons })
    readiness = now
    return event(`${run}-${last}`, "status", statusJson(status))
  }

  const send = (one: Open, status: string) => {
    const missed = changes.filter(({ number }) => number > one.seen)
    one.seen = last
    // Who has fallen behind is dropped by the server, which says so.
    one.sink.write(missed.map(({ text }) => text).join("") + status)
  }

  const sendAll = () => {
    const status = look()
    for (const one of open) send(one, status)
  }

  spillway.onBreakerChange((connection, scope, state, reason) => {
    note("breaker", { connection, scope, state, reason })
    // Whoever caused it holds a batch: the rest is done on a turn of its own.
    if (collecting) return
    collecting = true
    setTimeout(() => {
      collecting = false
      sendAll()
    }, collectMs)
  })

  /** Number of the last change that whoever sends this id has. */
  const seenBy = (lastEventId: string | null): number => {
    if (lastEventId === null) return last
    const [of, number] = lastEventId.split("-")
    return of === run && number !== undefined && /^\d{1,15}$/.test(number) ? Math.min(last, Number(number)) : 0
  }

  return {
    stream: lastEventId =>
      open.size >= mostStreams
        ? undefined
        : {
            start: sink => {
              const status = look()
              const one = { sink, seen: seenBy(lastEventId) }
              open.add(one)
              every ??= setInterval(sendAll, everyMs)
              send(one, status)
              return () => {
                open.delete(one)
                if (open.size > 0) return
                clearInterval(every)
                every = undefined
              }
            }
          },
    end: () => {
      sendAll()
      for (const { sink } of Array.from(open)) sink.end()
    }
  }
}
