/**
 * What must hold of who may call the HTTP service.
 */
import * as Redacted from "effect/Redacted"
import { isLoopback } from "../loopback.ts"
import type { HttpConfig } from "./model.ts"
import type { Path } from "./tree.ts"

type Say = (path: Path, message: string, more?: { readonly suggestion?: string | undefined }) => void
type Good = (...paths: ReadonlyArray<Path>) => boolean

/** Characters of a bearer token (RFC 6750 allows fewer): what a header carries unharmed. */
const bearer = /^[\x21-\x7e]+$/

/** Reports what is wrong with them. */
export const access = (http: HttpConfig, say: Say, good: Good): void => {
  const at = (...keys: ReadonlyArray<string>): Path => ["http", ...keys]
  const { clients, host, tls, token, tokens } = http
  const open = token === undefined && tokens.length === 0 && clients.length === 0
  if (open && !isLoopback(host) && good(at("token"), at("tokens"), at("clients"), at("host"))) {
    say(at("token"), `missing: ${host} is reachable from other hosts, so every request must show a bearer token`, {
      suggestion: "set SPILLWAY_HTTP__TOKEN, http.tokens or http.clients, or listen on 127.0.0.1"
    })
  }
  const secrets = new Map<string, string>()
  for (const [secret, path] of [
    ...(token === undefined ? [] : [[token, at("token")] as const]),
    ...tokens.map(({ name, secret }) => [secret, at("tokens", name, "secret")] as const)
  ]) {
    if (!good(path)) continue
    const value = Redacted.value(secret)
    const twin = secrets.get(value)
    if (twin !== undefined) say(path, `is the token of ${twin} too: each needs its own (the value is not shown)`)
    else if (!bearer.test(value)) {
      say(path, "a bearer token is made of printable ASCII characters without spaces (the value is not shown)")
    }
    secrets.set(value, path.join("."))
  }
  const subjects = new Map<string, string>()
  for (const { name, subject } of clients) {
    const twin = subjects.get(subject)
    if (twin !== undefined) say(at("clients", name), `has the subject of client ${twin}: each needs its own`)
    subjects.set(subject, name)
  }
  for (const [kind, entries] of [
    ["tokens", tokens],
    ["clients", clients]
  ] as const) {
    for (const { metrics, name, operator, topics } of entries) {
      const path = at(kind, name)
      if (topics.length > 0 || metrics || operator || !good(path, [...path, "topics"])) continue
      say(path, "may do nothing: give it topics, operator: true or metrics: true")
    }
  }
  const ca = at("tls", "client_ca_file")
  const asked = tls?.clientCa !== undefined
  if (clients.length > 0 && !asked && good(at("clients"), at("tls"), ca)) {
    say(at("clients"), "client certificates are asked for only with tls.client_ca_file")
  } else if (asked && clients.length === 0 && good(at("clients"), ca)) {
    say(ca, "does nothing without clients: say under http.clients what each certificate may do")
  }
}
