/**
 * Where telemetry goes, from the configuration and the variables every OpenTelemetry SDK knows.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
import * as Redacted from "effect/Redacted"
import type { Surroundings } from "./assemble.ts"
import type { OtlpConfig } from "./model.ts"
import type { Written } from "./shape.ts"
import { type Path as KeyPath, locate } from "./tree.ts"

const path: KeyPath = ["telemetry", "otlp"]

/** `key=value,key=value` with values percent-encoded, as in W3C Baggage; undefined when it is not of that form. */
const pairsOf = (text: string): ReadonlyArray<readonly [string, string]> | undefined => {
  const pairs: Array<readonly [string, string]> = []
  for (const member of text.split(",")) {
    if (member.trim() === "") continue
    const [, key, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(member) ?? []
    if (key === undefined || value === undefined) return undefined
    try {
      pairs.push([key, decodeURIComponent(value)])
    } catch {
      return undefined
    }
  }
  return pairs
}

const isAddress = (text: string): boolean => {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false
  const { password, username } = new URL(text)
  return username === "" && password === ""
}

/** Undefined: nothing is exported. What the configuration says wins over the variables. */
export const telemetryOf = ({ otlp }: Written["telemetry"], around: Surroundings): OtlpConfig | undefined => {
  const { env, report, root } = around
  const fault = (key: string, message: string) => {
    const at = [...path, key]
    report.fault(locate(root, at), at, { message })
  }
  const fromVariable = (key: string, variable: string): Record<string, string> => {
    const pairs = pairsOf(env[variable] ?? "")
    // The value is not shown: headers hold secrets.
    if (pairs === undefined) fault(key, `${variable}: expected key=value pairs with commas between them`)
    return Object.fromEntries(pairs ?? [])
  }
  const endpoint = otlp.endpoint ?? (env.OTEL_EXPORTER_OTLP_ENDPOINT || undefined)
  if (endpoint === undefined || env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return undefined
  // With credentials nothing could be sent there; the value is not shown.
  if (otlp.endpoint === undefined && !isAddress(endpoint)) {
    fault("endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT: expected an http:// or https:// address without credentials")
  }
  const { "service.name": named, ...attributes } = {
    ...fromVariable("resource_attributes", "OTEL_RESOURCE_ATTRIBUTES"),
    ...Object.fromEntries(otlp.resource_attributes)
  }
  const headers = Object.entries(fromVariable("headers", "OTEL_EXPORTER_OTLP_HEADERS")).map(
    ([name, value]) => [name.toLowerCase(), Redacted.make(value)] as const
  )
  const written = Array.from(otlp.headers, ([name, value]) => [name.toLowerCase(), value] as const)
  return {
    endpoint,
    headers: Object.fromEntries([...headers, ...written]),
    intervalMs: otlp.interval,
    timeoutMs: otlp.timeout,
    sampleRatio: otlp.sample_ratio,
    serviceName: otlp.service_name ?? (env.OTEL_SERVICE_NAME || (named ?? "spillway")),
    resourceAttributes: attributes
  }
}
