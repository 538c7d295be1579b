/**
 * Which dead letters a request means: the same names in a query and in a JSON body.
 */
import { Buffer } from "node:buffer"
import type * as DeadLetters from "../DeadLetters.ts"
import { decodeBase64 } from "./base64.ts"

export interface LetterQuery {
  /** Undefined: the only one there is. */
  readonly producer: string | undefined
  readonly filter: DeadLetters.Filter
  /** Records to be shown. */
  readonly limit: number
  /** Records to be redriven at most. */
  readonly maxRecords: number
  /** Records per second at most. */
  readonly rate: number | undefined
  readonly dryRun: boolean
}

const defaults = { limit: 20, maxRecords: 10_000 }
const mostShown = 100

const filterMembers = ["topic", "reason", "before", "after", "key", "keyBase64", "id"]
const members = {
  query: ["producer", "limit", ...filterMembers],
  body: ["producer", "maxRecords", "rate", "dryRun", ...filterMembers]
}

type Given = Readonly<Record<string, unknown>>

/** Undefined when it is not given; throws what is wrong with it. */
const text = (given: Given, name: string): string | undefined => {
  const value = given[name]
  if (value === undefined || typeof value === "string") return value
  throw `${name}: expected a string`
}

const time = (given: Given, name: string): number | undefined => {
  const value = text(given, name)
  if (value === undefined) return undefined
  const at = Date.parse(value)
  if (Number.isNaN(at)) throw `${name}: expected a time as in 2026-01-31T12:00:00Z`
  return at
}

const whole = (given: Given, name: string, most: number): number | undefined => {
  const value = given[name]
  if (value === undefined) return undefined
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof number === "number" && Number.isInteger(number) && number >= 1 && number <= most) return number
  throw `${name}: expected a whole number from 1${most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`}`
}

const keyOf = (given: Given): Uint8Array | undefined => {
  const key = text(given, "key")
  const base64 = text(given, "keyBase64")
  if (key !== undefined && base64 !== undefined) throw "key and keyBase64: give one of them"
  if (base64 !== undefined) {
    const bytes = decodeBase64(base64)
    if (bytes === undefined) throw "keyBase64: not base64"
    return bytes
  }
  return key === undefined ? undefined : Buffer.from(key)
}

const parse = (given: Given, known: ReadonlyArray<string>): LetterQuery => {
  const unknown = Object.keys(given).find(name => !known.includes(name))
  if (unknown !== undefined) throw `${unknown}: unknown member; there are ${known.join(", ")}`
  const { dryRun = false } = given
  if (typeof dryRun !== "boolean") throw "dryRun: expected true or false"
  return {
    producer: text(given, "producer"),
    filter: {
      topic: text(given, "topic"),
      reason: text(given, "reason"),
      before: time(given, "before"),
      after: time(given, "after"),
      key: keyOf(given),
      id: text(given, "id")
    },
    limit: whole(given, "limit", mostShown) ?? defaults.limit,
    maxRecords: whole(given, "maxRecords", Number.MAX_SAFE_INTEGER) ?? defaults.maxRecords,
    rate: whole(given, "rate", Number.MAX_SAFE_INTEGER),
    dryRun
  }
}

/** What `parse` makes of it, or what is wrong with it. */
const attempt = (use: () => LetterQuery): LetterQuery | string => {
  try {
    return use()
  } catch (error) {
    if (typeof error === "string") return error
    throw error
  }
}

export const ofQuery = (query: string): LetterQuery | string =>
  attempt(() => parse(Object.fromEntries(new URLSearchParams(query)), members.query))

export const ofBody = (body: Uint8Array): LetterQuery | string => {
  let given: unknown
  try {
    given = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
  } catch {
    return "the body is not JSON"
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) return "the body is not a JSON object"
  const object = given
  return attempt(() => parse({ ...object }, members.body))
}

/** The dead letters of a producer, or why there are none. */
export const choose = (
  services: ReadonlyMap<string, DeadLetters.Service>,
  producer: string | undefined
): DeadLetters.Service | string => {
  const names = Array.from(services.keys())
  const name = producer ?? (names.length === 1 ? names[0] : undefined)
  const service = name === undefined ? undefined : services.get(name)
  if (service !== undefined) return service
  if (names.length === 0) return "no producer has a dead-letter queue"
  return name === undefined
    ? `producer: name one of ${names.join(", ")}`
    : `no producer is named ${name}; there is ${names.join(", ")}`
}
