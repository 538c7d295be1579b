/**
 * Free ports that stay free while their server is down.
 *
 * They are taken below the ephemeral range (Linux: 32768 and up). Inside it, a client that keeps connecting to a dead
 * server's port can be given that very port as its source: the connection then reaches itself, or the restart fails.
 */
import { createServer } from "node:net"

const lowest = 20_000
const highest = 31_999

const isFree = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)))
  })

/** `count` different free TCP ports on 127.0.0.1. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 1000 + count) throw new Error(`no ${count} free ports between ${lowest} and ${highest}`)
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1))
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  return [...found]
}

/** One free TCP port on 127.0.0.1. */
export const freePort = async (): Promise<number> => {
  const [port] = await freePorts(1)
  if (port === undefined) throw new Error("no free port")
  return port
}
