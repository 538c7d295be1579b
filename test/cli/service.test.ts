import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Service from "../../src/cli/service.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("service")
after(() => deleteDirectory(directory))

const find = (token: string, url = "http://127.0.0.1:1") => {
  const tokenFile = join(directory, "token")
  writeFileSync(tokenFile, token)
  const given = { url: Option.some(url), tokenFile: Option.some(tokenFile), config: [] }
  return Effect.runPromise(Effect.either(Service.find(given)))
}

describe("a service's token", () => {
  it("that no header carries is never in what is said of it", async () => {
    for (const token of ["hunter2\nhunter2", "hunter2\u20ac", "hunter2 hunter2"]) {
      const found = await find(token)
      const told = Either.isLeft(found)
        ? found.left
        : await Service.send(found.right, "/").then(
            () => assert.fail("nobody listens"),
            cause => Service.unreachable(found.right, cause)
          )
      assert.match(told.message, /printable ASCII/)
      assert.doesNotMatch(told.message, /hunter2/)
    }
    const found = await find("fine-token\n")
    assert.equal(Either.isRight(found) && found.right.token, "fine-token")
  })

  it("is not taken from the address, which is shown in messages", async () => {
    const found = await find("fine-token", "http://user:hunter2@127.0.0.1:1")
    assert.ok(Either.isLeft(found))
    assert.doesNotMatch(found.left.message, /hunter2/)
  })
})
