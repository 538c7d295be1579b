/**
 * An SQS that says what it is told to, and a server that says nothing.
 */
import * as http from "node:http"
import * as net from "node:net"

export interface FakeServer {
  readonly endpoint: string
  /** What it answers to `operation` from now on. */
  readonly answer: (operation: string, status: number, body: string) => void
  /** It takes `operation` from now on and never answers. */
  readonly silence: (operation: string) => void
  /** It takes `operation` from now on and closes the connection in place of an answer. */
  readonly hangUp: (operation: string) => void
  /** Requests for `operation` so far. */
  readonly asked: (operation: string) => number
  /** Connections of unanswered requests still open. */
  readonly waiting: () => number
  readonly stop: () => Promise<void>
}

const listen = async (server: net.Server): Promise<string> => {
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return `http://127.0.0.1:${address.port}`
}

const close = (server: net.Server, sockets: ReadonlySet<net.Socket>): Promise<void> =>
  new Promise(resolve => {
    server.close(() => resolve())
    for (const socket of sockets) socket.destroy()
  })

export const startFakeSqs = async (): Promise<FakeServer> => {
  const answers = new Map<string, { status: number; body: string } | "silence" | "hang up">()
  const asked = new Map<string, number>()
  const sockets = new Set<net.Socket>()
  const open = new Set<net.Socket>()
  const server = http.createServer((request, response) => {
    const operation = String(request.headers["x-amz-target"]).replace("AmazonSQS.", "")
    request.resume()
    request.on("end", () => {
      const answer = answers.get(operation)
      asked.set(operation, (asked.get(operation) ?? 0) + 1)
      if (answer === "hang up") {
        request.socket.destroy()
        return
      }
      if (answer === "silence") {
        open.add(request.socket)
        request.socket.once("close", () => open.delete(request.socket))
        return
      }
      response.writeHead(answer?.status ?? 500, { "content-type": "application/x-amz-json-1.0" })
      response.end(answer?.body ?? "{}")
    })
  })
  server.on("connection", socket => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  const endpoint = await listen(server)
  answers.set("GetQueueUrl", { status: 200, body: JSON.stringify({ QueueUrl: `${endpoint}/000000000000/fake` }) })
  return {
    endpoint,
    answer: (operation, status, body) => answers.set(operation, { status, body }),
    hangUp: operation => answers.set(operation, "hang up"),
    asked: operation => asked.get(operation) ?? 0,
    silence: operation => answers.set(operation, "silence"),
    waiting: () => open.size,
    stop: () => close(server, sockets)
  }
}

export const startSilentServer = async (): Promise<{
  readonly endpoint: string
  readonly stop: () => Promise<void>
}> => {
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
  })
  return { endpoint: await listen(server), stop: () => close(server, sockets) }
}
