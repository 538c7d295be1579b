import assert from "node:assert/strict"
import { it } from "node:test"
import { read } from "../../src/cli/plainServe.ts"

it("plain arguments of serve are read without the command line's library", () => {
  assert.deepEqual(read(["serve", "--config", "a.yaml", "-c", "b.yaml"]), {
    config: ["a.yaml", "b.yaml"],
    withoutRetry: false
  })
  assert.deepEqual(read(["serve", "--without-retry", "-c", "a.yaml"]), { config: ["a.yaml"], withoutRetry: true })
})

it("all others are left to it", () => {
  for (const line of [
    "",
    "serve",
    "retry --config a.yaml",
    "serve --config",
    "serve --config --help",
    "serve --config=a.yaml",
    "serve --config a.yaml --help",
    "serve --config a.yaml --log-level debug",
    "serve a.yaml",
    "serve --without-retry",
    "serve --without-retry --without-retry --config a.yaml"
  ]) {
    assert.equal(read(line.split(" ")), undefined, line)
  }
})
