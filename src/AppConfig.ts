/**
 * The configuration: YAML files in the shape gosoline uses, overridden by environment variables, checked as a whole.
 * Every key, unit and default is in docs/configuration.md.
 */
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { assemble, reasonOf } from "./internal/config/assemble.ts"
import { type Environment, expand, mentionedIn, override } from "./internal/config/environment.ts"
import { Report } from "./internal/config/field.ts"
import { type ConfigError, configError, type Issue, issueAt } from "./internal/config/issue.ts"
import type * as Model from "./internal/config/model.ts"
import { check } from "./internal/config/rules.ts"
import { shape } from "./internal/config/shape.ts"
import { spelled } from "./internal/config/spelling.ts"
import { emptyMap, type MapNode, merge, type Node } from "./internal/config/tree.ts"
import * as Yaml from "./internal/config/yaml.ts"

export type { Environment } from "./internal/config/environment.ts"
export { ConfigError, type Issue, renderIssue } from "./internal/config/issue.ts"
export type {
  BacklogConfig,
  Balancer,
  BreakerConfig,
  BufferConfig,
  ClaimCheckConfig,
  Compression,
  HttpClient,
  HttpConfig,
  HttpTls,
  HttpToken,
  KafkaConnectionConfig,
  OtlpConfig,
  OutputConfig,
  Permission,
  ProducerConfig,
  ProducerEncoding,
  RetryConfig,
  S3ClientConfig,
  SaslConfig,
  ShutdownConfig,
  SpoolConfig,
  SpotConfig,
  SqsClientConfig,
  TlsConfig,
  Unmarshaller
} from "./internal/config/model.ts"

/** A whole, valid configuration, as type and as tag. */
export interface AppConfig extends Model.AppConfig {}
export const AppConfig: Context.Tag<AppConfig, AppConfig> = Context.GenericTag<AppConfig>("spillway/AppConfig")

/** The text of one configuration file. */
export interface Source {
  /** Name for errors; certificate files are looked up beside it. */
  readonly file: string
  readonly text: string
}

/** Reads a certificate file; throws when it cannot. */
export type ReadText = (file: string) => string

const decoder = new TextDecoder("utf-8", { fatal: true })
const readTextSync: ReadText = file => decoder.decode(readFileSync(file))

/** A good configuration with the tree it was read from. */
interface Whole {
  readonly config: AppConfig
  readonly root: Node
}

/** What was looked at, and what became of it. */
export interface Inspected {
  /** The files that could be read. */
  readonly sources: ReadonlyArray<Source>
  readonly outcome: Either.Either<Whole, ConfigError>
}

/**
 * Sources merge deeply, the later wins; then `SPILLWAY_` variables of `env` override keys and `${VAR}` expands. Pure but
 * for `readText`, which is asked only for the files that `tls` sections name.
 */
export const parse = (
  sources: ReadonlyArray<Source>,
  env: Environment,
  readText: ReadText = readTextSync
): Either.Either<AppConfig, ConfigError> => Either.map(build(sources, [], env, readText), ({ config }) => config)

const build = (
  sources: ReadonlyArray<Source>,
  unreadable: ReadonlyArray<Issue>,
  env: Environment,
  readText: ReadText
): Either.Either<Whole, ConfigError> => {
  const parsed = sources.map(({ file, text }) => Yaml.parse(file, text))
  const report = new Report(unreadable.length === 0 && parsed.every(({ whole }) => whole))
  const top = { file: sources[0]?.file ?? "configuration", line: sources.length === 0 ? 0 : 1, column: 1 }
  const merged = parsed.reduce<MapNode>((root, { root: next }) => {
    const result = next === undefined ? root : merge(root, spelled(next, shape, [], report))
    return result.kind === "map" ? result : root
  }, emptyMap(top))
  const overridden = override(merged, shape, env, mentionedIn(merged), report)
  report.reads(overridden)
  const root = expand(overridden, env, report)
  const config = assemble(shape.read(root, [], report), { root, env, readText, report })
  check(config, root, report)
  const issues = [...unreadable, ...parsed.flatMap(({ issues }) => issues), ...report.issues]
  return issues.length === 0
    ? Either.right({ config, root })
    : Either.left(configError(issues, [...new Set(sources.map(({ file }) => file))]))
}

/** Reads, merges and checks `files`, and keeps what explains the outcome. */
export const inspect = (files: ReadonlyArray<string>, env: Environment): Effect.Effect<Inspected> =>
  Effect.gen(function* () {
    const [unreadable, sources] = yield* Effect.partition(files, file =>
      Effect.tryPromise({
        try: async signal => ({ file, text: decoder.decode(await readFile(file, { signal })) }),
        catch: cause =>
          issueAt({ file, line: 0, column: 0 }, [], { message: `the file cannot be read: ${reasonOf(cause)}` })
      })
    )
    return { sources, outcome: build(sources, unreadable, env, readTextSync) }
  })

/** Reads, merges and checks `files`. Fails with every fault that can be found, unreadable files among them. */
export const load = (files: ReadonlyArray<string>, env: Environment): Effect.Effect<AppConfig, ConfigError> =>
  Effect.flatMap(inspect(files, env), ({ outcome }) => Either.map(outcome, ({ config }) => config))

export const layer = (files: ReadonlyArray<string>, env: Environment): Layer.Layer<AppConfig, ConfigError> =>
  Layer.effect(AppConfig, load(files, env))

/** The configuration for people to look at, as plain JSON values: secrets are `<redacted>`, absent members left out. */
export const redacted = (config: AppConfig): unknown =>
  JSON.parse(JSON.stringify(config, (_, value) => (Redacted.isRedacted(value) ? "<redacted>" : value)))
