/**
 * The ways to name an SQS queue: its name, its URL or its ARN (SQS Developer Guide, "Amazon SQS queue and message
 * identifiers").
 */
import * as Either from "effect/Either"

/** A parsed queue id. `name` is what logs and metrics show. */
export type QueueId =
  | { readonly _tag: "Name"; readonly name: string }
  | { readonly _tag: "Arn"; readonly name: string; readonly region: string; readonly account: string }
  | { readonly _tag: "Url"; readonly name: string; readonly origin: string; readonly path: string }

const namePattern = /^[A-Za-z0-9_-]{1,80}$/
const arnPattern = /^arn:(aws[a-z-]*):sqs:([a-z0-9-]+):(\d{12}):(.+)$/

const checkName = (name: string): string | undefined => {
  if (name.endsWith(".fifo")) return `${name} is a FIFO queue; only standard queues can be used`
  if (!namePattern.test(name)) {
    return `${JSON.stringify(name)} is not a queue name: 1 to 80 letters, digits, hyphens and underscores`
  }
  return undefined
}

const named = <A extends QueueId>(id: A): Either.Either<A, string> => {
  const problem = checkName(id.name)
  return problem === undefined ? Either.right(id) : Either.left(problem)
}

const parseUrl = (text: string): Either.Either<QueueId, string> => {
  if (!URL.canParse(text)) return Either.left(`${JSON.stringify(text)} is not a URL`)
  const url = new URL(text)
  if (url.username !== "" || url.password !== "") return Either.left("a queue URL must not carry credentials")
  // The path is compared with nothing and sent as it is: SQS knows the queue by it, emulators use other paths.
  const name = url.pathname.split("/").at(-1) ?? ""
  return named({ _tag: "Url", name, origin: url.origin, path: url.pathname })
}

/** Parses a queue name, URL or ARN; the left side says what is wrong with it. */
export const parse = (text: string): Either.Either<QueueId, string> => {
  if (text.startsWith("http://") || text.startsWith("https://")) return parseUrl(text)
  if (text.startsWith("arn:")) {
    const [, , region, account, name] = arnPattern.exec(text) ?? []
    if (region === undefined || account === undefined || name === undefined) {
      return Either.left(`${JSON.stringify(text)} is not an ARN of the form arn:aws:sqs:region:account:name`)
    }
    return named({ _tag: "Arn", name, region, account })
  }
  return named({ _tag: "Name", name: text })
}

/** The URL to put into requests: with a custom endpoint its origin stands in front of the queue's own path. */
export const urlAt = (queueUrl: string, endpoint: string | undefined): string => {
  if (endpoint === undefined || !URL.canParse(endpoint) || !URL.canParse(queueUrl)) return queueUrl
  return new URL(endpoint).origin + new URL(queueUrl).pathname
}
