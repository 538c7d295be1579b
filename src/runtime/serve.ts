/**
 * The service's HTTP server, whichever runtime this is: Spillway's own on Bun's sockets, the runtime's own on Deno.
 */
import type { HttpHandler } from "../http/HttpHandler.ts"
import type { ServerLimits } from "../http/server/HttpServer.ts"
import * as Bun from "./bun.ts"
import * as Deno from "./deno.ts"

export interface ServeOptions {
  readonly hostname: string
  /** 0 takes a free one. */
  readonly port: number
  readonly handler: Pick<HttpHandler, "fetch" | "open">
  /** Deno's server has limits of its own. */
  readonly limits: ServerLimits
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
