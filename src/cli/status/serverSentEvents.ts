/**
 * Reads server-sent events (WHATWG HTML, section 9.2.6), as far as Spillway writes them.
 */

export interface ServerSentEvent {
  readonly id: string
  readonly name: string
  readonly data: string
}

/** Longer events are no status. */
const mostCharacters = 16 * 1024 * 1024

const read = (block: string): ServerSentEvent | undefined => {
  const fields = new Map<string, string>()
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":")
    if (colon <= 0) continue
    const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    const name = line.slice(0, colon)
    const before = name === "data" ? fields.get(name) : undefined
    fields.set(name, before === undefined ? value : `${before}\n${value}`)
  }
  const data = fields.get("data")
  return data === undefined ? undefined : { id: fields.get("id") ?? "", name: fields.get("event") ?? "message", data }
}

/** Ends with the body; what is cut off is no event. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const piece of body) {
    text += decoder.decode(piece, { stream: true }).replaceAll("\r", "")
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = read(text.slice(0, end))
      text = text.slice(end + 2)
      if (event !== undefined) yield event
    }
    if (text.length > mostCharacters) throw new Error("the stream of events is none")
  }
}
