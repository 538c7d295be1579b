/**
 * Serving on Bun.
 */
import type { ServeOptions, Server } from "./serve.ts"

interface BunServer {
  readonly port: number
  readonly stop: (closeActiveConnections?: boolean) => Promise<void>
}

/** The part of Bun's global that is used here. */
declare const Bun: {
  readonly serve: (options: {
    readonly hostname: string
    readonly port: number
    readonly fetch: (request: Request) => Response | Promise<Response>
    readonly idleTimeout: number
    readonly maxRequestBodySize: number
    readonly development: boolean
    readonly error: (error: Error) => Response
  }) => BunServer
}

/** The longest Bun allows, seconds. */
const longestIdleSeconds = 255

export const available = (): boolean => typeof Bun !== "undefined"

export const serve = ({ fetch, hostname, idleTimeoutMs, maxBodyBytes, port }: ServeOptions): Server => {
  const server = Bun.serve({
    hostname,
    port,
    fetch,
    idleTimeout: Math.min(longestIdleSeconds, Math.ceil(idleTimeoutMs / 1000)),
    maxRequestBodySize: maxBodyBytes,
    development: false,
    error: () => new Response(null, { status: 500 })
  })
  return { port: server.port, stop: () => server.stop(), kill: () => server.stop(true) }
}
