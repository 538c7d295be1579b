/**
 * Keys and values inside the JSON of REST Proxy requests: bytes in base64, JSON as its own text, or a string.
 */
import { Buffer } from "node:buffer"
import { decodeBase64 } from "../base64.ts"
import * as JsonSource from "../jsonSource.ts"

/** What is wrong with a request or a record in it, behind the member it is wrong with. */
export class Fault {
  readonly message: string
  /** Not even JSON. */
  readonly syntax: boolean

  constructor(field: string, why: string, syntax = false) {
    this.message = field === "" ? why : `${field}: ${why}`
    this.syntax = syntax
  }
}

export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const kindOf = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`
}

export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    return new Fault("", `not JSON: ${error instanceof Error ? error.message : "unreadable"}`, true)
  }
}

/** The first member that is not known. */
export const unknownMember = (object: Json, field: string, known: ReadonlyArray<string>): Fault | undefined => {
  const name = Object.keys(object).find(one => !known.includes(one))
  if (name === undefined) return undefined
  const path = field === "" ? name : `${field}.${name}`
  return new Fault(path.slice(0, 200), `unknown member; there are ${known.join(", ")}`)
}

export type Format = "BINARY" | "JSON" | "STRING"

/** The bytes of the member `name` of `object`, whose text is `text`; `null` where it is null or not there. */
export const bytesOf = (
  format: Format,
  object: Json,
  text: string,
  name: string,
  field: string
): Uint8Array | null | Fault => {
  const value = object[name]
  if (value === undefined || value === null) return null
  if (format === "JSON") return Buffer.from(JsonSource.member(text, name) ?? "null")
  if (typeof value !== "string") return new Fault(field, `expected a string, got ${kindOf(value)}`)
  if (format === "STRING") return Buffer.from(value)
  return decodeBase64(value) ?? new Fault(field, "not base64")
}

/** A partition, where one is given. */
export const partitionOf = (value: unknown, field: string): number | undefined | Fault => {
  if (value === undefined || value === null) return undefined
  const valid = typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 31
  return valid ? value : new Fault(field, "expected a partition number")
}
