/**
 * The service's HTTP server, whichever runtime this is: Spillway's own on Bun's sockets, the runtime's own on Deno.
 */
import process from "node:process"
import type { HttpHandler } from "../http/HttpHandler.ts"
import type { ServerLimits } from "../http/server/HttpServer.ts"
import * as Bun from "./bun.ts"
import * as Deno from "./deno.ts"

/** For HTTPS. All of it is PEM text. */
export interface ServeTls {
  readonly cert: string
  readonly key: string
  /**
   * Authorities whose client certificates are asked for; undefined: none is. A connection without a certificate, or with one
   * of somebody else, is served all the same, and is then nobody's: a request's `clientNames` are those of a certificate that
   * was verified, and only then. Rejected where the runtime cannot ask for one.
   */
  readonly clientCa: string | undefined
}

export interface ServeOptions {
  readonly hostname: string
  /** 0 takes a free one. */
  readonly port: number
  readonly handler: Pick<HttpHandler, "fetch" | "open">
  /** Deno's server has limits of its own. */
  readonly limits: ServerLimits
  /** Absent: plain HTTP. */
  readonly tls?: ServeTls | undefined
  /** Other processes listen on the same port, and the system shares the connections out (`SO_REUSEPORT`); not by default. */
  readonly sharesPort?: boolean
}

/** Why processes cannot share a port here; undefined: they can. */
export const cannotSharePort = (platform: string = process.platform): string | undefined =>
  platform === "linux"
    ? undefined
    : `several processes on one port need Linux, which shares connections out among them (SO_REUSEPORT); this is ${platform}`

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
