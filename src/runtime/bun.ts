/**
 * Serving on Bun: Spillway's own HTTP server on its sockets.
 */
import type { Buffer } from "node:buffer"
import type { Connection } from "../http/server/Connection.ts"
import { HttpServer } from "../http/server/HttpServer.ts"
import type { ServeOptions, Server, ServeTls } from "./serve.ts"

interface BunSocket {
  data: Connection | undefined
  readonly write: (data: string | Uint8Array) => number
  /** Unlike `end`, which closes: bytes still on their way would be answered with a reset, and the last answer be lost. */
  readonly shutdown: () => void
  readonly terminate: () => void
  readonly pause: () => void
  readonly resume: () => void
  /** Whether the client has shown a certificate that was verified. */
  readonly authorized: boolean
  readonly getPeerCertificate: () =>
    | { readonly subject?: { readonly CN?: string }; readonly subjectaltname?: string }
    | undefined
}

interface BunListener {
  readonly port: number
  /** Accepts nothing more; open sockets stay unless told otherwise. */
  readonly stop: (closeActiveConnections?: boolean) => void
}

/** The part of Bun's global that is used here. */
declare const Bun: {
  readonly listen: (options: {
    readonly hostname: string
    readonly port: number
    readonly reusePort: boolean
    readonly allowHalfOpen: boolean
    readonly tls?: {
      readonly cert: string
      readonly key: string
      readonly ca?: string
      readonly requestCert?: boolean
      readonly rejectUnauthorized?: boolean
    }
    readonly socket: {
      readonly open: (socket: BunSocket) => void
      readonly handshake: (socket: BunSocket) => void
      readonly data: (socket: BunSocket, bytes: Buffer) => void
      readonly drain: (socket: BunSocket) => void
      readonly end: (socket: BunSocket) => void
      readonly close: (socket: BunSocket) => void
      readonly error: (socket: BunSocket) => void
    }
  }) => BunListener
}

export const available = (): boolean => typeof Bun !== "undefined"

/** One that could be mistaken for several where names are listed, or for another, is none. */
const plainName = /^[\w.:/@*-]+$/

/** The common name and the alternative names of a certificate, without `DNS:` and the like. */
const namesOf = (socket: BunSocket): ReadonlyArray<string> => {
  const { subject, subjectaltname = "" } = socket.getPeerCertificate() ?? {}
  const others = subjectaltname.split(", ").map(name => name.slice(name.indexOf(":") + 1))
  return [...(subject?.CN === undefined ? [] : [subject.CN]), ...others.filter(name => plainName.test(name))]
}

const secured = ({ cert, clientCa, key }: ServeTls) =>
  clientCa === undefined ? { cert, key } : { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: false }

export const serve = ({ handler, hostname, limits, port, sharesPort = false, tls }: ServeOptions): Server => {
  const server = new HttpServer(handler.open, limits)
  const listener = Bun.listen({
    hostname,
    port,
    reusePort: sharesPort,
    allowHalfOpen: true,
    ...(tls === undefined ? {} : { tls: secured(tls) }),
    socket: {
      open: socket => {
        socket.data = server.accept(socket)
      },
      handshake: socket => {
        if (socket.data !== undefined && tls?.clientCa !== undefined && socket.authorized) {
          socket.data.clientNames = namesOf(socket)
        }
      },
      data: (socket, bytes) => socket.data?.received(bytes),
      drain: socket => socket.data?.drained(),
      end: socket => socket.data?.ended(),
      close: socket => {
        if (socket.data !== undefined) server.closed(socket.data)
      },
      // Something threw in one of these: what the connection's state is, is not known.
      error: socket => socket.terminate()
    }
  })
  return {
    port: listener.port,
    stop: () => {
      listener.stop()
      return server.stop()
    },
    kill: async () => {
      listener.stop()
      server.kill()
    }
  }
}
