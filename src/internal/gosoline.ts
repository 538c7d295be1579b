/**
 * Messages parked by services written with gosoline (`stream.Message` and its unmarshallers), read so that a fleet can
 * move over while the queue is not empty.
 */
import { Buffer } from "node:buffer"

/**
 * `msg`: JSON `{"attributes": {...}, "body": "..."}`. `raw`: the body is the value. `sns`: an SNS notification around
 * `msg`. `msg_base64`: `msg` whose body member is base64, as `msg_body_encoding: base64` writes it.
 */
export type Unmarshaller = "msg" | "raw" | "sns" | "msg_base64"

/** The record in a message, or why there is none. */
export type Unmarshalled =
  | {
      readonly _tag: "Record"
      readonly topic: string
      readonly key: Uint8Array | undefined
      readonly value: Uint8Array
      readonly headers: ReadonlyArray<readonly [name: string, value: Uint8Array]>
    }
  | { readonly _tag: "Malformed"; readonly reason: string }

const keyAttribute = "KafkaKey"

/** gosoline's own notes about retrying and about SQS: true of the hop through the queue, not of the record. */
const bookkeeping: ReadonlySet<string> = new Set([
  "goso.retry",
  "goso.retry.id",
  "goso.retry.sqs",
  "sqsDelaySeconds",
  "sqsMessageId",
  "sqsReceiptHandle",
  "sqsApproximateReceiveCount"
])

const malformed = (reason: string): Unmarshalled => ({ _tag: "Malformed", reason })

/** A number as the text it had: `JSON.parse` alone would round what does not fit into a double. */
class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const parseObject = (text: string): Record<string, unknown> | string => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text, (_name, value: unknown, context?: { readonly source?: string }) =>
      typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value
    )
  } catch {
    return "not valid JSON"
  }
  if (!isObject(parsed)) return "not a JSON object"
  return parsed
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof NumberText)

const scalarText = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (value instanceof NumberText) return value.text
  if (typeof value === "boolean") return String(value)
  return value === null ? "" : undefined
}

const strictBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

const readMessage = (text: string, topic: string, base64: boolean): Unmarshalled => {
  const message = parseObject(text)
  if (typeof message === "string") return malformed(message)
  const { body } = message
  if (typeof body !== "string") return malformed(`body: expected a string, got ${nameOf(body)}`)
  if (base64 && !strictBase64.test(body)) return malformed("body: not valid base64")
  const attributes = message.attributes ?? {}
  if (!isObject(attributes)) return malformed(`attributes: expected an object, got ${nameOf(attributes)}`)
  let key: Uint8Array | undefined
  const headers: Array<readonly [string, Uint8Array]> = []
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = scalarText(value)
    if (attribute === undefined) {
      return malformed(`attributes[${JSON.stringify(name)}]: expected a scalar, got ${nameOf(value)}`)
    }
    if (name === keyAttribute) key = bytesOf(attribute)
    else if (!bookkeeping.has(name)) headers.push([name, bytesOf(attribute)])
  }
  return { _tag: "Record", topic, key, value: base64 ? Buffer.from(body, "base64") : bytesOf(body), headers }
}

const nameOf = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (Array.isArray(value)) return "an array"
  if (value instanceof NumberText) return "a number"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

const readNotification = (text: string, topic: string): Unmarshalled => {
  const notification = parseObject(text)
  if (typeof notification === "string") return malformed(notification)
  if (notification.Type !== "Notification") return malformed('Type: expected "Notification"')
  if (typeof notification.Message !== "string") {
    return malformed(`Message: expected a string, got ${nameOf(notification.Message)}`)
  }
  const inner = readMessage(notification.Message, topic, false)
  return inner._tag === "Malformed" ? malformed(`Message: ${inner.reason}`) : inner
}

/** Reads one message body. Total: whatever the text, it answers a record for `defaults.topic` or a reason. */
export const unmarshal = (kind: Unmarshaller, body: string, defaults: { readonly topic: string }): Unmarshalled => {
  switch (kind) {
    case "raw":
      return { _tag: "Record", topic: defaults.topic, key: undefined, value: bytesOf(body), headers: [] }
    case "msg":
      return readMessage(body, defaults.topic, false)
    case "msg_base64":
      return readMessage(body, defaults.topic, true)
    case "sns":
      return readNotification(body, defaults.topic)
  }
}
