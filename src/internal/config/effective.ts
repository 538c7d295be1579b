/**
 * The values that hold, and where each is from: a file, a variable, or the default.
 */
import { type Environment, variablesIn } from "./environment.ts"
import { type Field, type Kind, Report } from "./field.ts"
import type { AppConfig } from "./model.ts"
import { shape } from "./shape.ts"
import type { Node, Origin, Path } from "./tree.ts"
import { formatDuration } from "./units.ts"

export type SettingOrigin =
  | {
      readonly kind: "file"
      readonly file: string
      readonly line: number
      readonly column: number
      /** The variables that `${...}` names there. */
      readonly variables?: ReadonlyArray<string>
    }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "default" }

export type SettingValue = string | number | boolean | ReadonlyArray<string> | null

export interface Setting {
  readonly path: Path
  /** As one would write it; null when nothing is set and nothing holds; a secret is `<redacted>`. */
  readonly value: SettingValue
  readonly origin: SettingOrigin
  /** What holds where nothing is set, in words. */
  readonly otherwise?: string
}

const redacted = "<redacted>"
const byDefault: SettingOrigin = { kind: "default" }
const nowhere: Origin = { file: "", line: 0, column: 0 }

const originOf = (node: Node): SettingOrigin => {
  const { column, file, line, variable } = node.origin
  if (variable !== undefined) return { kind: "environment", variable }
  const variables = node.kind === "scalar" && node.untyped ? variablesIn(node.written) : []
  return { kind: "file", file, line, column, ...(variables.length === 0 ? {} : { variables }) }
}

/** The value as one would write it: what came as text from a variable gets the type it is read as. */
const valueOf = (kind: Kind<unknown>, node: Node): SettingValue => {
  if (kind.secret) return redacted
  const read = kind.read(node, [], new Report())
  if (Array.isArray(read)) return read.map(String)
  if (typeof read === "boolean" || typeof read === "string") return read
  const written = node.kind === "scalar" ? node.value : null
  return typeof read === "number" && typeof written === "string" && /^-?[\d.]+$/.test(written)
    ? Number(written)
    : written
}

/** What holds where a key is not written and its default depends on others. */
const derived = (
  pattern: string,
  name: string,
  config: AppConfig,
  env: Environment
): Omit<Setting, "path"> | undefined => {
  const from = (value: SettingValue | undefined, variable?: string): Omit<Setting, "path"> | undefined =>
    value === undefined
      ? undefined
      : { value, origin: variable === undefined ? byDefault : { kind: "environment", variable } }
  const region = env.AWS_REGION ? "AWS_REGION" : "AWS_DEFAULT_REGION"
  const { spot } = config.shutdown
  switch (pattern) {
    case "breaker.probe_timeout":
      return from(formatDuration(config.breaker.probeTimeoutMs))
    case "http.request_timeout":
      return from(formatDuration(config.http.requestTimeoutMs))
    case "stream.producer.*.retry.dead_letter_queue_id":
      return from(config.producers[name]?.retry.deadLetterQueueId)
    case "stream.producer.*.retry.backlog.max_wait": {
      const backlog = config.producers[name]?.retry.backlog
      return backlog?.policy === "wait" ? from(formatDuration(backlog.maxWaitMs)) : undefined
    }
    case "cloud.aws.sqs.clients.*.region":
      return from(config.sqsClients[name]?.region, region)
    case "cloud.aws.s3.clients.*.region":
      return from(config.s3Clients[name]?.region, region)
    case "cloud.aws.s3.clients.*.path_style":
      return from(config.s3Clients[name]?.pathStyle)
    case "kafka.connection.*.sasl.region": {
      const sasl = config.kafkaConnections[name]?.sasl
      return sasl?.mechanism === "msk-iam" ? from(sasl.region, region) : undefined
    }
    case "shutdown.spot.endpoint":
      return from(
        spot.endpoint,
        env.AWS_EC2_METADATA_SERVICE_ENDPOINT ? "AWS_EC2_METADATA_SERVICE_ENDPOINT" : undefined
      )
    case "shutdown.spot.enabled":
      return from(spot.enabled, spot.enabled === false ? "AWS_EC2_METADATA_DISABLED" : undefined)
    default:
      return undefined
  }
}

/** Every key of a good configuration, in the order of docs/configuration.md. `root`: the tree it was read from. */
export const effective = (root: Node, config: AppConfig, env: Environment): ReadonlyArray<Setting> => {
  const settings: Array<Setting> = []

  const absent = (field: Field<unknown>, path: Path, pattern: string, name: string): void => {
    const found = derived(pattern, name, config, env)
    const holds = field.absent(nowhere, path, new Report())
    const { kind, shown } = field
    if (found !== undefined) settings.push({ path, ...found })
    else if (holds === undefined) {
      const otherwise = shown === undefined ? {} : { otherwise: shown }
      settings.push({ path, value: null, origin: byDefault, ...otherwise })
    } else if (kind.fields !== undefined || kind.entry !== undefined) walk(kind, undefined, path, pattern, name)
    else {
      const written: Node = {
        kind: "scalar",
        value: shown ?? null,
        written: shown ?? "",
        untyped: true,
        origin: nowhere
      }
      settings.push({ path, value: valueOf(kind, written), origin: byDefault })
    }
  }

  const walk = (kind: Kind<unknown>, node: Node | undefined, path: Path, pattern: string, name: string): void => {
    const entries = node?.kind === "map" ? node.entries : undefined
    const below = (key: string): string => (pattern === "" ? key : `${pattern}.${key}`)
    if (kind.entry !== undefined) {
      for (const [key, entry] of entries ?? []) walk(kind.entry, entry.node, [...path, key], below("*"), key)
    } else if (kind.fields !== undefined && !(kind.switchable && node?.kind === "scalar")) {
      for (const [key, field] of Object.entries(kind.fields)) {
        const entry = entries?.get(key)
        const at = [...path, key]
        if (entry === undefined) absent(field, at, below(key), name)
        else walk(field.kind, entry.node, at, below(key), name)
      }
    } else if (node !== undefined) {
      const value = kind.switchable ? node.kind === "scalar" && `${node.value}` === "true" : valueOf(kind, node)
      const found = derived(pattern, name, config, env)
      const auto = pattern === "shutdown.spot.enabled" && value === "auto" && found !== undefined
      settings.push({ path, ...(auto && found.value !== "auto" ? found : { value, origin: originOf(node) }) })
    }
  }

  walk(shape, root, [], "", "")
  return settings
}

const isPlain = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9_./:-]*$/.test(text) &&
  !text.endsWith(":") &&
  Number.isNaN(Number(text)) &&
  !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)

const written = (value: SettingValue): string => {
  if (typeof value === "string") return isPlain(value) ? value : JSON.stringify(value.replaceAll("${", () => "$${"))
  return Array.isArray(value) ? `[${value.map(written).join(", ")}]` : `${value}`
}

export const renderOrigin = (origin: SettingOrigin): string => {
  if (origin.kind === "default") return "default"
  if (origin.kind === "environment") return `environment ${origin.variable}`
  const variables = origin.variables === undefined ? "" : `, environment ${origin.variables.join(", ")}`
  return `${origin.file}:${origin.line}:${origin.column}${variables}`
}

/** As YAML, each value with its origin behind it; what is not set stands as a comment. */
export const renderEffective = (settings: ReadonlyArray<Setting>): string => {
  const lines: Array<readonly [text: string, comment: string]> = []
  let open: Path = []
  for (const { origin, otherwise, path, value } of settings) {
    const sections = path.slice(0, -1)
    let same = 0
    while (same < sections.length && open[same] === sections[same]) same++
    for (const [level, section] of sections.entries()) {
      if (level >= same) lines.push([`${"  ".repeat(level)}${written(section)}:`, ""])
    }
    open = sections
    const indent = "  ".repeat(sections.length)
    const key = path.at(-1) ?? ""
    if (value === null)
      lines.push([`${indent}# ${key}: not set${otherwise === undefined ? "" : ` (${otherwise})`}`, ""])
    else lines.push([`${indent}${key}: ${written(value)}`, `# ${renderOrigin(origin)}`])
  }
  const width = Math.min(48, Math.max(0, ...lines.filter(([, comment]) => comment !== "").map(([text]) => text.length)))
  return lines.map(([text, comment]) => (comment === "" ? text : `${text.padEnd(width)}  ${comment}`)).join("\n")
}
