/**
 * The runtime's own HTTP server, whichever runtime this is.
 */
import * as Bun from "./bun.ts"
import * as Deno from "./deno.ts"

export interface ServeOptions {
  readonly hostname: string
  /** 0 takes a free one. */
  readonly port: number
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** A connection without any traffic is closed after this, ms. It must outlast the slowest answer. */
  readonly idleTimeoutMs: number
  /** Bodies beyond it are cut off even where the handler does not look, bytes. */
  readonly maxBodyBytes: number
}

export interface Server {
  /** The port it really listens on. */
  readonly port: number
  /** Accepts nothing more, and resolves once the open requests are answered. */
  readonly stop: () => Promise<void>
  /** Closes every connection now. */
  readonly kill: () => Promise<void>
}

/** Rejects when the address cannot be listened on. */
export const serve = async (options: ServeOptions): Promise<Server> =>
  Bun.available() ? Bun.serve(options) : Deno.serve(options)
