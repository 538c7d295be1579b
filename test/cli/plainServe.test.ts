import assert from "node:assert/strict"
import { it } from "node:test"
import { read } from "../../src/cli/plainServe.ts"

it("plain arguments of serve are read without the command line's library", () => {
  assert.deepEqual(read(["serve", "--config", "a.yaml", "-c", "b.yaml"]), {
    config: ["a.yaml", "b.yaml"],
    withoutRetry: false,
    workers: 1
  })
  assert.deepEqual(read(["serve", "--without-retry", "-c", "a.yaml", "--workers", "4"]), {
    config: ["a.yaml"],
    withoutRetry: true,
    workers: 4
  })
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
    "serve --config a.yaml --workers",
    "serve --config a.yaml --workers 0",
    "serve --config a.yaml --workers many",
    "serve --config a.yaml --workers 2 --workers 3",
    "serve --without-retry",
    "serve --without-retry --without-retry --config a.yaml"
  ]) {
    assert.equal(read(line.split(" ")), undefined, line)
  }
})
