/**
 * A way to an S3 that loses, refuses and damages what it is told to, and remembers what was asked.
 */
import { createHash } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** What happens to a request instead of passing. */
export type Fault =
  | { readonly _tag: "Answer"; readonly status: number; readonly code: string }
  /** It takes the request and says nothing. */
  | { readonly _tag: "Silence" }
  /** S3 does it, but the answer is lost. */
  | { readonly _tag: "LoseReply" }
  /** One bit of the answer is another. */
  | { readonly _tag: "Damage" }

export interface FaultyS3 {
  readonly endpoint: string
  /** Method and kind of every request so far, e.g. `PUT part`. */
  readonly requests: ReadonlyArray<string>
  /** The bodies so far that came with a SHA-256 in the signature, and whether it was theirs. */
  readonly signed: ReadonlyArray<boolean>
  /** The next requests of a kind, one fault each. */
  readonly script: (kind: string, ...faults: ReadonlyArray<Fault>) => void
  /** Connections whose request has no answer yet. */
  readonly waiting: () => number
  readonly stop: () => Promise<void>
}

const kindOf = (method: string, url: URL): string => {
  const query = url.searchParams
  if (query.has("uploads")) return "create"
  if (query.has("partNumber")) return "part"
  if (query.has("uploadId")) return method === "DELETE" ? "abort" : "complete"
  return method.toLowerCase()
}

/** In front of the S3 at `target`. */
export const startFaultyS3 = async (target: string): Promise<FaultyS3> => {
  const requests: Array<string> = []
  const signed: Array<boolean> = []
  const faults = new Map<string, Array<Fault>>()
  let waiting = 0
  const server = http.createServer(async (request, response) => {
    const { method = "", url = "" } = request
    const kind = kindOf(method, new URL(url, target))
    requests.push(kind)
    waiting++
    response.on("close", () => waiting--)
    const chunks: Array<Buffer> = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      // Given up on the way in.
      return
    }
    const signature = request.headers["x-amz-content-sha256"]
    if (chunks.length > 0) signed.push(signature === createHash("sha256").update(Buffer.concat(chunks)).digest("hex"))
    const fault = faults.get(kind)?.shift()
    if (fault?._tag === "Silence") return
    if (fault?._tag === "Answer") {
      response.writeHead(fault.status, { "content-type": "application/xml" })
      response.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>scripted</Message></Error>`)
      return
    }
    const headers = { ...request.headers, host: new URL(target).host }
    const forwarded = http.request(new URL(url, target), { method, headers }, answer => {
      const parts: Array<Buffer> = []
      answer.on("data", (part: Buffer) => parts.push(part))
      answer.on("end", () => {
        if (fault?._tag === "LoseReply") {
          request.socket.destroy()
          return
        }
        const body = Buffer.concat(parts)
        if (fault?._tag === "Damage") body[0] = (body[0] ?? 0) ^ 1
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        response.end(body)
      })
    })
    forwarded.on("error", () => request.socket.destroy())
    forwarded.end(Buffer.concat(chunks))
  })
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    signed,
    script: (kind, ...more) => {
      faults.set(kind, [...(faults.get(kind) ?? []), ...more])
    },
    waiting: () => waiting,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
