/**
 * What the service tells and is told: the stream of statuses, and requests, with the operator's token.
 */

const tokenKey = "spillway-token"
/** Between attempts to reach the service again, ms: doubled each time. */
const firstPauseMs = 500
const longestPauseMs = 10_000
/** The service sends a status each second; this long without one, and the connection is given up, ms. */
const silenceMs = 6000

/** @type {() => string | null} */
export const token = () => sessionStorage.getItem(tokenKey)

/** For this tab only, until it is closed. @type {(value: string) => void} */
export const keepToken = value => {
  if (value === "") sessionStorage.removeItem(tokenKey)
  else sessionStorage.setItem(tokenKey, value)
}

const authorization = () => {
  const value = token()
  return value === null ? {} : { authorization: `Bearer ${value}` }
}

export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/** @type {(response: Response) => Promise<Refused>} */
const refusal = async response => {
  /** @type {unknown} */
  const body = await response.json().catch(() => undefined)
  const message = typeof body === "object" && body !== null ? Reflect.get(body, "message") : undefined
  return new Refused(response.status, typeof message === "string" ? message : `the service answered ${response.status}`)
}

/**
 * Asks, or orders when there is a body. Rejects with `Refused`, or as `fetch` does.
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<unknown>}
 */
export const ask = async (path, body) => {
  const response = await fetch(path, {
    cache: "no-store",
    ...(body === undefined
      ? { headers: authorization() }
      : {
          method: "POST",
          headers: { ...authorization(), "content-type": "application/json" },
          body: JSON.stringify(body)
        })
  })
  if (!response.ok) throw await refusal(response)
  const text = await response.text()
  return text === "" ? undefined : JSON.parse(text)
}

/** Server-sent events out of text in pieces (WHATWG HTML, 9.2.6); only what is sent here: `id`, `event` and `data`. */
export class EventParser {
  #rest = ""
  /** @param {string} text @returns {Array<{ id: string, name: string, data: string }>} */
  push(text) {
    const blocks = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n")
    this.#rest = blocks.pop() ?? ""
    return blocks.flatMap(block => {
      let id = ""
      let name = "message"
      const data = []
      for (const line of block.split("\n")) {
        if (line.startsWith("id:")) id = line.slice(3).trim()
        else if (line.startsWith("event:")) name = line.slice(6).trim()
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""))
      }
      return data.length === 0 ? [] : [{ id, name, data: data.join("\n") }]
    })
  }
}

/**
 * @typedef {object} Listener
 * @property {(name: string, data: unknown) => void} event
 * @property {() => Promise<void>} live after each successful connection, and before its first event
 * @property {(retryAt: number) => void} lost
 * @property {(wrong: boolean) => Promise<void>} locked a token is needed, or the one given is wrong; resolves when there is one to try
 */

/** `EventSource` sends no headers, so the stream is read by hand. Never ends. @type {(listener: Listener) => Promise<never>} */
export const listen = async listener => {
  let pauseMs = firstPauseMs
  // An id the service does not know brings all the changes it has kept.
  let lastId = "none"
  for (;;) {
    const abort = new AbortController()
    let silence = setTimeout(() => abort.abort(), silenceMs)
    try {
      const headers = { ...authorization(), accept: "text/event-stream", "last-event-id": lastId }
      const response = await fetch("/v1/status/events", { headers, signal: abort.signal, cache: "no-store" })
      if (response.status === 401) {
        clearTimeout(silence)
        await listener.locked(token() !== null)
        continue
      }
      if (!response.ok || response.body === null) throw await refusal(response)
      await listener.live()
      pauseMs = firstPauseMs
      const parser = new EventParser()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        clearTimeout(silence)
        silence = setTimeout(() => abort.abort(), silenceMs)
        for (const { data, id, name } of parser.push(value)) {
          if (id !== "") lastId = id
          listener.event(name, JSON.parse(data))
        }
      }
    } catch {
      // Whatever went wrong, the next attempt tells.
    }
    clearTimeout(silence)
    const retryAt = Date.now() + pauseMs
    listener.lost(retryAt)
    await new Promise(resolve => setTimeout(resolve, pauseMs))
    pauseMs = Math.min(longestPauseMs, pauseMs * 2)
  }
}
