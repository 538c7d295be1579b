/**
 * Who may do what: bearer tokens and client certificates, each with its topics.
 */
import type { Buffer } from "node:buffer"
import { createHash, timingSafeEqual } from "node:crypto"
import * as Redacted from "effect/Redacted"
import type { HttpConfig, Permission } from "../AppConfig.ts"
import type { RequestHead } from "./RequestHead.ts"

/** What a caller may do. */
export interface Access {
  readonly publishes: (topic: string) => boolean
  /** The operator API. */
  readonly operator: boolean
  /** Metrics and status. */
  readonly metrics: boolean
}

const everything: Access = { publishes: () => true, operator: true, metrics: true }

const accessOf = ({ metrics, operator, topics }: Permission): Access => {
  const names = new Set(topics.filter(topic => !topic.endsWith("*")))
  const beginnings = topics.filter(topic => topic.endsWith("*")).map(topic => topic.slice(0, -1))
  return {
    publishes: topic => names.has(topic) || beginnings.some(beginning => topic.startsWith(beginning)),
    operator,
    metrics
  }
}

/** What any of them may do. */
const union = (all: ReadonlyArray<Access>): Access | undefined => {
  const [only, ...more] = all
  if (only === undefined || more.length === 0) return only
  return {
    publishes: topic => all.some(access => access.publishes(topic)),
    operator: all.some(({ operator }) => operator),
    metrics: all.some(({ metrics }) => metrics)
  }
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** What the sender of a request may do; undefined: it has shown nothing that is known. */
export type Authorizer = (head: RequestHead) => Access | undefined

/** A token that is shown counts alone, whether it is right or not; without one, the certificate does. */
export const authorizer = ({
  clients,
  token,
  tokens
}: Pick<HttpConfig, "clients" | "token" | "tokens">): Authorizer => {
  if (token === undefined && tokens.length === 0 && clients.length === 0) return () => everything
  const known = [
    ...(token === undefined ? [] : [{ digest: digest(Redacted.value(token)), access: everything }]),
    ...tokens.map(entry => ({ digest: digest(Redacted.value(entry.secret)), access: accessOf(entry) }))
  ]
  const subjects = new Map(clients.map(client => [client.subject, accessOf(client)]))

  return head => {
    const given = head.header("authorization")
    if (given === null) {
      return union((head.clientNames ?? []).flatMap(name => subjects.get(name) ?? []))
    }
    if (!/^bearer /i.test(given)) return undefined
    const shown = digest(given.slice(7).trim())
    let found: Access | undefined
    // All of them, each in a time that does not depend on how much is right.
    for (const { access, digest: expected } of known) if (timingSafeEqual(shown, expected)) found = access
    return found
  }
}
