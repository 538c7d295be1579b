/**
 * Between web requests and responses and what the routes work on: bodies are read without ever holding more than allowed.
 */
import { type Answer, isWhole } from "./Answer.ts"
import type { Receiver } from "./Exchange.ts"
import { streamBody } from "./streamBody.ts"

/** A body that is longer than the length it declares is the server's to refuse: a caller with another source looks itself. */
export const hand = (request: Request, receiver: Receiver): void => {
  const { maxBodyBytes } = receiver
  if (receiver.piece !== undefined) {
    pass(request.body, receiver).then(
      () => receiver.take(new Uint8Array(0)),
      () => receiver.cutShort()
    )
    return
  }
  read(request, maxBodyBytes).then(
    body => (body === undefined || body.length > maxBodyBytes ? receiver.tooLarge() : receiver.take(body)),
    () => receiver.cutShort()
  )
}

/** Piece by piece, each when there is room for it. */
const pass = async (body: ReadableStream<Uint8Array> | null, receiver: Receiver): Promise<void> => {
  if (body === null) return
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    await receiver.piece?.(value)
  }
}

/** Undefined: it is larger than `maxBytes`. Rejects when it ends early. */
const read = (request: Request, maxBytes: number): Promise<Uint8Array | undefined> => {
  const { headers } = request
  const declared = headers.get("content-length")
  // The server takes no more than a declared length from the wire; chunks have none.
  if (declared !== null && headers.get("transfer-encoding") === null) {
    return Number(declared) > maxBytes ? Promise.resolve(undefined) : request.bytes()
  }
  return request.body === null ? Promise.resolve(new Uint8Array(0)) : inPieces(request.body, maxBytes)
}

const inPieces = async (body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array | undefined> => {
  const reader = body.getReader()
  const pieces: Array<Uint8Array> = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > maxBytes) {
      // Not awaited: a sender that never ends must not hold up its answer.
      reader.cancel().catch(() => {})
      return undefined
    }
    pieces.push(value)
  }
  const [only] = pieces
  if (pieces.length === 1 && only !== undefined) return only
  const bytes = new Uint8Array(length)
  let position = 0
  for (const piece of pieces) {
    bytes.set(piece, position)
    position += piece.length
  }
  return bytes
}

/** Some statuses allow no body, not even an empty one. */
export const responseOf = ({ body, headers, status }: Answer): Response =>
  new Response(body === "" ? null : isWhole(body) ? body : streamBody(body), { status, headers })
