import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { gzipSync } from "node:zlib"
import * as Dashboard from "../../src/http/Dashboard.ts"
import { serving } from "./serving.ts"

const mostBytes = 100 * 1024

describe("the dashboard's files", () => {
  it("are there without a token, under a strict policy", () =>
    serving({ token: "secret" }, async ({ ask }) => {
      for (const path of Dashboard.paths) {
        const { headers, status, text } = await ask(path)
        assert.equal(status, 200, path)
        assert.ok(text.length > 100, path)
        const type = path === "/" ? "text/html" : path.endsWith(".css") ? "text/css" : "text/javascript"
        assert.equal(headers.get("content-type"), `${type}; charset=utf-8`, path)
        assert.equal(
          headers.get("content-security-policy"),
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert.equal(headers.get("x-content-type-options"), "nosniff")
        assert.equal(headers.get("referrer-policy"), "no-referrer")
      }
      assert.equal((await ask("/dashboard/other.js")).status, 401)
      assert.equal((await ask("/", { method: "POST", body: "x" })).status, 405)
    }))

  it("are not sent again while they are the same", () =>
    serving({}, async ({ ask }) => {
      for (const path of Dashboard.paths) {
        const { headers } = await ask(path)
        assert.equal(headers.get("cache-control"), "no-cache")
        const etag = headers.get("etag") ?? ""
        const again = await ask(path, { headers: { "if-none-match": `"other", W/${etag}` } })
        assert.deepEqual({ status: again.status, text: again.text }, { status: 304, text: "" })
        assert.equal(again.headers.get("etag"), etag)
        assert.equal((await ask(path, { headers: { "if-none-match": '"other"' } })).status, 200)
      }
    }))

  it("are all there that they name, name no other host, and are small", () =>
    serving({}, async ({ ask }) => {
      const texts = new Map<string, string>()
      for (const path of Dashboard.paths) texts.set(path, (await ask(path)).text)
      for (const [path, text] of texts) {
        const named = [
          ...text.matchAll(/from "\.\/([^"]+)"/g),
          ...text.matchAll(/(?:href|src)="\/(dashboard\/[^"]+)"/g)
        ].map(([, name = ""]) => (name.startsWith("dashboard/") ? `/${name}` : `/dashboard/${name}`))
        for (const name of named) assert.ok(texts.has(name), `${path} names ${name}`)
        const hosts = Array.from(text.matchAll(/https?:\/\/[^'"\s]+/g), ([url]) => url)
        assert.deepEqual(
          hosts.filter(url => url !== "http://www.w3.org/2000/svg"),
          [],
          path
        )
      }
      const bytes = Array.from(texts.values()).reduce((sum, text) => sum + gzipSync(text).length, 0)
      assert.ok(bytes < mostBytes, `${bytes} bytes`)
    }))
})
