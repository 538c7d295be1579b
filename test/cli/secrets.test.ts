// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import { check, show } from "../../src/cli/configReport.ts"
import type { Kind } from "../../src/internal/config/field.ts"
import { shape } from "../../src/internal/config/shape.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("secrets")
after(() => deleteDirectory(directory))

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** Recognisable anywhere, and never cut by a line's end. */
const secret = "hunter2"

/** Every secret key of the model, where one configuration can hold them all. */
const keys = [
  "kafka.connection.one.tls.passphrase",
  "kafka.connection.one.sasl.password",
  "kafka.connection.two.sasl.token",
  "cloud.aws.sqs.clients.one.secret_access_key",
  "cloud.aws.sqs.clients.one.session_token",
  "cloud.aws.s3.clients.one.secret_access_key",
  "cloud.aws.s3.clients.one.session_token",
  "http.token",
  "telemetry.otlp.headers.one"
]

const patterns = (kind: Kind<unknown>, path: string): ReadonlyArray<string> => {
  if (kind.secret) return [path]
  if (kind.entry !== undefined) return patterns(kind.entry, `${path}.*`)
  return Object.entries(kind.fields ?? {}).flatMap(([key, field]) =>
    patterns(field.kind, path === "" ? key : `${path}.${key}`)
  )
}

const rest = `stream:
  output: { one: { topic: t, connection: one }, two: { topic: u, connection: two } }
  producer:
    one: { output: one, retry: { queue_id: q, client_name: one } }
    two: { output: two, retry: { enabled: false } }
kafka:
  connection:
    one: { brokers: a:1, sasl: { mechanism: plain, username: u } }
    two: { brokers: b:1, sasl: { mechanism: oauthbearer } }
cloud:
  aws:
    sqs: { clients: { one: { region: r, access_key_id: i } } }
    s3: { clients: { one: { region: r, access_key_id: i } } }
`

type Write = (key: string, index: number, indent: string) => string

/** One document in block style with what `write` puts in the place of each secret. */
const block = (write: Write): string => {
  const lines: Array<string> = []
  let open: ReadonlyArray<string> = []
  for (const [index, path] of keys.entries()) {
    const sections = path.split(".").slice(0, -1)
    const same = sections.findIndex((section, level) => open[level] !== section)
    for (const [level, section] of sections.entries()) {
      if (same >= 0 && level >= same) lines.push(`${"  ".repeat(level)}${section}:`)
    }
    open = sections
    const indent = "  ".repeat(sections.length)
    lines.push(`${indent}${write(path.split(".").at(-1) ?? "", index, indent)}`)
  }
  return `${lines.join("\n")}\n`
}

/** A section in brackets for each secret. */
const flow = (write: Write, close = true): string =>
  block(write).replace(
    /^( *)(tls|sasl|one|http|headers):\n +(.*)$/gm,
    (_, indent, section, pair) => `${indent}${section}: { ${pair}${close ? " }" : ""}`
  )

const variableOf = (path: string): string => `SPILLWAY_${path.toUpperCase().replaceAll(".", "__")}`

const printed = async (files: ReadonlyArray<string>, env: AppConfig.Environment) => {
  const outputs: Array<string> = []
  const texts: Array<string> = []
  let good = false
  for (const json of [false, true]) {
    const checked = await Effect.runPromise(check(files, env, json))
    good = checked.good
    outputs.push(checked.text)
    const shown = await Effect.runPromise(Effect.either(show(files, env, json)))
    if (Either.isRight(shown)) texts.push(shown.right)
    outputs.push(Either.isRight(shown) ? shown.right : `${inspect(shown.left)}\n${shown.left}\n${shown.left.stack}`)
  }
  const loaded = await Effect.runPromise(Effect.either(AppConfig.load(files, env)))
  outputs.push(inspect(loaded, { depth: 20, showHidden: true }), JSON.stringify(loaded))
  return { good, shown: texts, text: outputs.join("\n") }
}

describe("no secret is printed", () => {
  const base = file("rest.yaml", rest)

  test("the keys are all the secret keys there are", () => {
    const planted = new Set(keys.map(key => key.replace(/\.(one|two)(?=\.|$)/, ".*")))
    // Tokens by name must differ, so they are planted below.
    assert.deepEqual([...planted, "http.tokens.*.secret"].sort(), [...new Set(patterns(shape, ""))].sort())
  })

  for (const [how, tokens, expected] of [
    ["good ones", `{ a: { secret: ${secret}-1, topics: t }, b: { secret: "${secret}-2", operator: true } }`, true],
    ["the same twice", `{ a: { secret: ${secret}, topics: t }, b: { secret: ${secret}, operator: true } }`, false],
    ["one with a space", `{ a: { secret: ${secret} ${secret}, topics: t } }`, false],
    ["a list", `{ a: { secret: [${secret}], topics: t } }`, false]
  ] as const) {
    test(`of tokens by name: ${how}`, async () => {
      const others = file(
        "others.yaml",
        block((key, index) => `${key}: x-${index}`)
      )
      const { good, shown, text } = await printed([base, others, file("t.yaml", `http: { tokens: ${tokens} }`)], {})
      assert.equal(good, expected)
      assert.ok(!text.includes(secret))
      if (expected) assert.ok(shown.every(one => one.includes("<redacted>")))
    })
  }

  const env = Object.fromEntries(keys.map((_, index) => [`S${index}`, `${secret}-${index}`]))
  const good: ReadonlyArray<readonly [how: string, text: string, env: AppConfig.Environment]> = [
    ["by file", block((key, index) => `${key}: ${secret}-${index}`), {}],
    [
      "by file, in quotes",
      block((key, index) => `${key}: "${secret} ${index}"`).replace(/token: "(\w+) 7"/, "token: '$1'"),
      {}
    ],
    ["by a block of text", block((key, _, indent) => `${key}: >-\n${indent}  ${secret}`), {}],
    ["by ${VAR}", block((key, index) => `${key}: \${S${index}}`), env],
    ["by the default of ${VAR}", block((key, index) => `${key}: \${NOPE:-${secret}-${index}}`), {}],
    ["by environment", "", Object.fromEntries(keys.map((key, index) => [variableOf(key), `${secret}-${index}`]))]
  ]
  for (const [how, text, env] of good) {
    test(how, async () => {
      const result = await printed([base, file("good.yaml", text)], env)
      assert.ok(result.good, result.text)
      assert.ok(!result.text.includes(secret), result.text)
      for (const text of result.shown) assert.equal(text.match(/<redacted>/g)?.length, keys.length)
    })
  }

  const mistakes: ReadonlyArray<readonly [what: string, write: Write]> = [
    ["misspelt", key => `${key}x: ${secret}`],
    ["quite misspelt", key => `my_${key}_of_old: ${secret}`],
    ["a list", key => `${key}: [${secret}, ${secret}]`],
    ["a list in lines", (key, _, indent) => `${key}:\n${indent}  - ${secret}\n${indent}  - 'x`],
    ["a section", key => `${key}: { a: ${secret}, b: ${secret} }`],
    ["an open quote", key => `${key}: '${secret}`],
    ["an open double quote", key => `${key}: "${secret} more: ${secret}`],
    ["an open bracket", key => `${key}: [${secret}`],
    ["a second colon", key => `${key}: ${secret}: ${secret}`],
    ["text behind a quote", key => `${key}: "x" ${secret}`],
    ["no space", key => `${key}:${secret}`],
    ["no colon", key => `${key} ${secret}`],
    ["an alias", key => `${key}: *${secret}`],
    ["a tag", key => `${key}: !${secret} ${secret}`],
    ["an escape", key => `${key}: "\\q${secret}"`],
    ["a reserved character", key => `${key}: @${secret}`],
    ["an anchor twice", key => `${key}: &${secret} &${secret} ${secret}`],
    ["a tab", key => `\t${key}: ${secret}`],
    ["twice", (key, _, indent) => `${key}: ${secret}\n${indent}${key}: ${secret}`],
    ["a line too deep", (key, _, indent) => `${key}: x\n${indent}    ${secret}: ${secret}`],
    ["a comment", key => `${key}: 5 # was ${secret}`],
    ["an unset variable", key => `${key}: "\${NOPE}${secret}"`],
    ["half a variable", key => `${key}: "\${${secret}-}"`],
    ["a block of text that is cut", (key, _, indent) => `${key}: |\n${indent}  ${secret}\n${indent} ${secret}`],
    ["a quoted key", key => `"${key}x": "${secret}"`],
    ["beside others in brackets", key => `{ port: x, ${key}: ${secret}, prot: 1 }`]
  ]
  for (const [what, write] of mistakes) {
    test(`nor where it is ${what}`, async () => {
      for (const text of [block(write), flow(write), flow(write, false)]) {
        const result = await printed([base, file("bad.yaml", text)], {})
        assert.ok(!result.good, text)
        assert.ok(!result.text.includes(secret), `${text}\n${result.text}`)
      }
    })
  }
})
