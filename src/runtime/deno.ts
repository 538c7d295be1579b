/**
 * Serving on Deno.
 */
import type { ServeOptions, Server } from "./serve.ts"

interface DenoServer {
  readonly addr: { readonly port: number }
  readonly finished: Promise<void>
  readonly shutdown: () => Promise<void>
}

/** The part of Deno's global that is used here. */
declare const Deno: {
  readonly serve: (
    options: {
      readonly hostname: string
      readonly port: number
      readonly reusePort: boolean
      readonly signal: AbortSignal
      readonly cert?: string
      readonly key?: string
      readonly onListen: () => void
      readonly onError: () => Response
    },
    fetch: (request: Request) => Response | Promise<Response>
  ) => DenoServer
}

export const serve = ({ handler, hostname, port, sharesPort = false, tls }: ServeOptions): Server => {
  if (tls?.clientCa !== undefined) {
    throw new Error(
      "Deno's server cannot ask for client certificates (http.tls.client_ca_file): run on Bun, or use tokens"
    )
  }
  const secure = tls === undefined ? {} : { cert: tls.cert, key: tls.key }
  const abort = new AbortController()
  let finished = false
  const { signal } = abort
  const onError = () => new Response(null, { status: 500 })
  const server = Deno.serve(
    { hostname, port, reusePort: sharesPort, signal, ...secure, onListen: () => {}, onError },
    request => handler.fetch(request)
  )
  const end = server.finished.then(() => {
    finished = true
  })
  return {
    port: server.addr.port,
    stop: () => server.shutdown(),
    kill: () => {
      // Aborting a server that has stopped is an uncaught error on Deno.
      if (!finished) abort.abort()
      return end
    }
  }
}
