/**
 * HTTP agents that keep connections open and never send a request a second time by themselves.
 *
 * Deno's `node:http` does so when a kept connection ends before the answer, even when the caller has given the request up:
 * what the server had received is then done twice, and nobody knows (denoland/deno issue 36786). It tells kept connections
 * by `ClientRequest.reusedSocket`. Node.js and Bun leave retries to the caller.
 */
import * as http from "node:http"
import * as https from "node:https"
import type { Duplex } from "node:stream"

class SendOnceAgent extends http.Agent {
  override reuseSocket(socket: Duplex, request: http.ClientRequest): void {
    super.reuseSocket(socket, request)
    request.reusedSocket = false
  }
}

class SendOnceSecureAgent extends https.Agent {
  override reuseSocket(socket: Duplex, request: http.ClientRequest): void {
    super.reuseSocket(socket, request)
    request.reusedSocket = false
  }
}

/** For the SDK's request handler, which closes them with its client. */
export const sendOnceAgents = (maxSockets: number) => ({
  httpAgent: new SendOnceAgent({ keepAlive: true, maxSockets }),
  httpsAgent: new SendOnceSecureAgent({ keepAlive: true, maxSockets })
})
