/**
 * EC2's instance metadata service in this process, to be scripted: what the published mock cannot be made to do.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
}

export interface FakeMetadata {
  readonly endpoint: string
  /** Every request so far. */
  readonly asked: ReadonlyArray<Asked>
  /** What lies under `latest/meta-data/`; anything else is 404. */
  readonly data: Map<string, string>
  /** Tokens handed out so far are refused from now on. */
  readonly forgetTokens: () => void
  /** What the next requests do instead: a status, or no answer at all. */
  readonly next: Array<number | "hang">
  readonly close: () => Promise<void>
}

/** @param at port; 0: a free one */
export const start = async (at = 0): Promise<FakeMetadata> => {
  const asked: Array<Asked> = []
  const data = new Map<string, string>()
  const tokens = new Set<string>()
  const next: Array<number | "hang"> = []
  let issued = 0
  const end = (response: ServerResponse, status: number, body = ""): void => {
    response.writeHead(status, { "content-type": "text/plain" }).end(body)
  }
  const server = createServer((request, response) => {
    const { method = "", url = "" } = request
    const header = request.headers["x-aws-ec2-metadata-token"]
    const token = typeof header === "string" ? header : undefined
    asked.push({ method, path: url, token })
    const scripted = next.shift()
    if (scripted === "hang") return
    if (scripted !== undefined) return end(response, scripted)
    if (method === "PUT" && url === "/latest/api/token") {
      const ttl = Number(request.headers["x-aws-ec2-metadata-token-ttl-seconds"])
      if (!(ttl >= 1 && ttl <= 21_600)) return end(response, 400)
      const made = `token-${++issued}=`
      tokens.add(made)
      return end(response, 200, made)
    }
    if (token === undefined || !tokens.has(token)) return end(response, 401)
    const found = data.get(url.replace("/latest/meta-data/", ""))
    end(response, found === undefined ? 404 : 200, found)
  })
  await new Promise<void>(resolve => server.listen(at, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    asked,
    data,
    forgetTokens: () => tokens.clear(),
    next,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
