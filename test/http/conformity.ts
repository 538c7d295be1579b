/**
 * Is an answer one that the OpenAPI document describes? Of JSON Schema only what the document uses; anything else fails.
 */
import assert from "node:assert/strict"
import { document } from "../../src/http/openApi/document.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const at = (from: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((found, key) => (isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined), from)

const typeOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return Number.isInteger(value) ? "integer" : typeof value
}

const ofType = (value: unknown, type: unknown): boolean => {
  const found = typeOf(value)
  return (Array.isArray(type) ? type : [type]).some(one => one === found || (one === "number" && found === "integer"))
}

/** What each keyword asks of a value; undefined: nothing is wrong. */
const keywords: Readonly<
  Record<string, (value: unknown, asked: unknown, schema: Json, where: string) => string | undefined>
> = {
  $ref: (value, asked, _, where) => fault(value, at(document, ...String(asked).split("/").slice(1)), where),
  type: (value, asked, _, where) =>
    ofType(value, asked) ? undefined : `${where}: ${typeOf(value)}, not ${String(asked)}`,
  enum: (value, asked, _, where) =>
    Array.isArray(asked) && asked.includes(value)
      ? undefined
      : `${where}: ${String(value)} is none of ${String(asked)}`,
  const: (value, asked, _, where) => (value === asked ? undefined : `${where}: is not ${String(asked)}`),
  pattern: (value, asked, _, where) =>
    typeof value !== "string" || new RegExp(String(asked), "u").test(value)
      ? undefined
      : `${where}: ${value} is not ${asked}`,
  minimum: (value, asked, _, where) =>
    typeof value !== "number" || value >= Number(asked) ? undefined : `${where}: is below ${asked}`,
  minLength: (value, asked, _, where) =>
    typeof value !== "string" || value.length >= Number(asked) ? undefined : `${where}: is too short`,
  maxLength: (value, asked, _, where) =>
    typeof value !== "string" || value.length <= Number(asked) ? undefined : `${where}: is too long`,
  minItems: (value, asked, _, where) =>
    !Array.isArray(value) || value.length >= Number(asked) ? undefined : `${where}: has too few items`,
  maximum: (value, asked, _, where) =>
    typeof value !== "number" || value <= Number(asked) ? undefined : `${where}: is above ${asked}`,
  required: (value, asked, _, where) => {
    const missing =
      Array.isArray(asked) && isObject(value) ? asked.find(name => !Object.hasOwn(value, name)) : undefined
    return missing === undefined ? undefined : `${where}: lacks ${missing}`
  },
  properties: (value, asked, _, where) => {
    for (const [name, member] of isObject(value) ? Object.entries(value) : []) {
      const schema = at(asked, name)
      const wrong = schema === undefined ? undefined : fault(member, schema, `${where}.${name}`)
      if (wrong !== undefined) return wrong
    }
    return undefined
  },
  additionalProperties: (value, asked, schema, where) => {
    assert.equal(asked, false)
    const more = isObject(value)
      ? Object.keys(value).find(name => at(schema.properties, name) === undefined)
      : undefined
    return more === undefined ? undefined : `${where}: ${more} is not described`
  },
  items: (value, asked, _, where) => {
    for (const [index, item] of Array.isArray(value) ? value.entries() : []) {
      const wrong = fault(item, asked, `${where}[${index}]`)
      if (wrong !== undefined) return wrong
    }
    return undefined
  },
  anyOf: (value, asked, _, where) => {
    assert.ok(Array.isArray(asked))
    const faults = asked.map(one => fault(value, one, where))
    return faults.includes(undefined) ? undefined : faults.join(" and ")
  },
  description: () => undefined,
  format: () => undefined
}

const fault = (value: unknown, schema: unknown, where: string): string | undefined => {
  assert.ok(isObject(schema), `no schema at ${where}`)
  for (const [keyword, asked] of Object.entries(schema)) {
    const check = keywords[keyword]
    assert.ok(check, `the test does not know ${keyword}`)
    const wrong = check(value, asked, schema, where)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const templates = Object.keys(isObject(document.paths) ? document.paths : {}).map(template => ({
  template,
  pattern: new RegExp(`^${template.replaceAll(/\{[a-z_]+\}/g, "[^/]+").replaceAll(".", "\\.")}$`)
}))

/** What is wrong with an answer; undefined when it is described. JSON texts one to a line are looked at one by one. */
export const undescribed = (
  method: string,
  path: string,
  { headers, status, text }: { readonly headers: Headers; readonly status: number; readonly text: string }
): string | undefined => {
  const template = templates.find(({ pattern }) => pattern.test(path))?.template
  const operation = template === undefined ? undefined : at(document.paths, template, method.toLowerCase())
  const type = headers.get("content-type") ?? ""
  // What is at no path, or not with this method, has no description of its own.
  if (operation === undefined) return fault(JSON.parse(text), { anyOf: [failure, restError] }, "body")
  const response = at(operation, "responses", `${status}`)
  if (response === undefined) return `${status} is not described for ${method} ${template}`
  const schema = at(response, "content", type, "schema")
  if (schema === undefined) return `${type} is not described for ${status} of ${method} ${template}`
  if (!type.includes("json")) return fault(text, schema, "body")
  const lines = text.includes("\n") ? text.trim().split("\n") : [text]
  return lines
    .map(line => fault(JSON.parse(line), status === 207 || lines.length === 1 ? schema : {}, "body"))
    .find(Boolean)
}

const failure = { $ref: "#/components/schemas/Failure" }
const restError = { $ref: "#/components/schemas/RestError" }
