/**
 * The pieces that descriptions of calls are made of (OpenAPI 3.1.0).
 */
export type Json = { readonly [key: string]: unknown }

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

/** A response with a JSON body. */
export const answer = (description: string, schema: Json, contentType = "application/json", headers?: Json): Json => ({
  description,
  ...(headers === undefined ? {} : { headers }),
  content: { [contentType]: { schema } }
})

const retryAfter = {
  "retry-after": {
    description: "Seconds after which asking again makes sense, as far as it is known.",
    schema: { type: "integer", minimum: 1 }
  }
}

const allow = { allow: { description: "The methods that are possible.", schema: { type: "string" } } }
const challenge = { "www-authenticate": { schema: { type: "string" } } }

/**
 * What any call may be refused with, by status.
 *
 * @param error the schema of a refusal's body
 */
export const refusals = (error: Json, statuses: ReadonlyArray<number>, contentType?: string): Json => {
  const all: Readonly<Record<number, Json>> = {
    400: answer("The request cannot be read, or a record in it is not what it should be.", error, contentType),
    401: answer("Without a token or certificate that is known.", error, contentType, challenge),
    403: answer("The token or certificate does not allow it, or Kafka does not.", error, contentType),
    404: answer("Nothing is here, or no such topic is configured.", error, contentType),
    405: answer("Not with this method.", error, contentType, allow),
    408: answer("The request's head did not come in time.", error, contentType),
    413: answer("The body, the number of records, or a record is larger than allowed.", error, contentType),
    415: answer("A content type or coding that is not taken.", error, contentType),
    422: answer("The request is not what it should be.", error, contentType),
    429: answer(
      "No room within the bound: in the buffer, or below the backlog's limit.",
      error,
      contentType,
      retryAfter
    ),
    431: answer("The request's head is larger than allowed.", error, contentType),
    500: answer("A fault of the service.", error, contentType),
    503: answer("Shutting down, or neither Kafka nor the fallback took it in time.", error, contentType, retryAfter)
  }
  return Object.fromEntries(statuses.map(status => [`${status}`, all[status] ?? {}]))
}

/** Of every call. */
export const common = [401, 403, 405, 408, 431, 500]
/** Of every call that takes records. */
export const taking = [400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503]

/** No control characters, the first of which would end a header; what a header carries as its own bytes. */
export const headerText = "^[\\x21-\\x7e]([\\x20-\\x7e]*[\\x21-\\x7e])?$"

export const topic: Json = {
  name: "topic",
  in: "path",
  required: true,
  description: "A topic that a producer is configured for.",
  schema: { type: "string", pattern: "^[A-Za-z0-9._-]{1,249}$" },
  example: "events"
}

export const idempotencyKey: Json = {
  name: "idempotency-key",
  in: "header",
  description:
    "Names the request, so that it can be sent again: the first record's id, and with `-1`, `-2`, … behind it that of those after it. Records with an `id` keep theirs; `spillway-id` counts before this.",
  schema: { type: "string", pattern: "^[A-Za-z0-9._:-]{1,200}$" }
}
