// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { describe, test } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import { bad } from "./texts.ts"

describe("files", () => {
  test("unreadable, not UTF-8 and malformed ones are all listed, with what the others say", async () => {
    const folder = await mkdtemp(Path.join(tmpdir(), "spillway-config-"))
    try {
      const write = async (name: string, content: string | Uint8Array) => {
        await writeFile(Path.join(folder, name), content)
        return Path.join(folder, name)
      }
      const files = [
        await write("wrong.yaml", "http: { port: x }"),
        Path.join(folder, "absent.yaml"),
        await write("latin1.yaml", Uint8Array.of(0x61, 0x3a, 0xff)),
        folder,
        await write("broken.yaml", "kafka:\n  a: [1\n")
      ]
      const parsed = await Effect.runPromise(Effect.either(AppConfig.load(files, {})))
      assert.ok(Either.isLeft(parsed))
      const lines = parsed.left.issues.map(issue => AppConfig.renderIssue(issue).replace(folder, "DIR")).sort()
      assert.equal(lines.filter(line => line.startsWith("DIR/broken.yaml:")).length, 1)
      assert.deepEqual(
        lines.filter(line => !line.startsWith("DIR/broken.yaml:")),
        [
          "DIR  the file cannot be read: it is a directory",
          "DIR/absent.yaml  the file cannot be read: no such file",
          "DIR/latin1.yaml  the file cannot be read: it is not UTF-8 text",
          'DIR/wrong.yaml:1:15  http.port: expected a whole number from 0 to 65535, found "x"'
        ]
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  const malformed: ReadonlyArray<readonly [text: string, line: RegExp]> = [
    ["a: 1\na: 2", /^a\.yaml:2:1 {2}a: this key is here twice, first in line 1$/],
    ["a:\n\tb: 1", /^a\.yaml:2:1 {2}a tab cannot indent/],
    ["a: *b", /names no anchor/],
    ["a: !secret x", /tags are not supported/],
    ["a: b: c", /^a\.yaml:1:4 {2}/],
    ["a: 'x", /^a\.yaml:1:4 {2}this quote is not closed$/],
    ["- a", /^a\.yaml:1:1 {2}expected keys such as stream/],
    ["text", /expected keys such as/],
    ["a: 1\n---\nb: 2", /one document/],
    ["a: { b: ${C} }\nd: 1\ne: 2", /^a\.yaml:1:\d+ {2}/],
    ["a: &x [*x]", /nested deeper than 64 levels/],
    [`a: ${"[".repeat(20_000)}`, /^a\.yaml:1:\d+ {2}/]
  ]
  for (const [text, line] of malformed) {
    test(`malformed: ${JSON.stringify(text.slice(0, 30))}`, () => {
      const { issues } = bad([text])
      const found = issues.filter(issue => line.test(AppConfig.renderIssue(issue)))
      assert.equal(found.length, 1, issues.map(AppConfig.renderIssue).join("\n"))
    })
  }

  test("an alias bomb is refused, not expanded", () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`)
    const { issues } = bad([`a0: &a0 [x]\n${levels.join("\n")}`])
    assert.match(issues[0]?.message ?? "", /more than 100000 values/)
  })

  test("nothing at all says what is missing", () => {
    assert.deepEqual(bad([]).issues.map(AppConfig.renderIssue), [
      "configuration  stream.producer: there is no producer: at least one is needed, under stream.producer.<name>"
    ])
    assert.equal(bad(["", "# a comment"]).issues.length, 1)
  })
})
