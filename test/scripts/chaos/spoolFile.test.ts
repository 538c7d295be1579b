import assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import { recordsInSpool } from "../../../scripts/chaos/spoolFile.ts"
import * as Sqlite from "../../../src/Spool/Sqlite.ts"

import { deleteDirectory, temporaryDirectory } from "../../support/Guard.ts"
import { envelopeOf } from "../../support/SpoolProcess.ts"

const directory = temporaryDirectory("chaos-spool")
after(() => deleteDirectory(directory))

describe("the look into a spool", () => {
  it("finds what is in the log only, as after a SIGKILL, and leaves the files as they are", () =>
    Effect.gen(function* () {
      const path = join(directory, "spool.db")
      assert.deepEqual(recordsInSpool(path), [])
      const spool = yield* Sqlite.make({ path, maxBytes: 1024 * 1024 })
      yield* spool.put([envelopeOf(["a", "b"]), { ...envelopeOf(["c"]), lastError: "Unknown:TIMEOUT" }])
      const found = [
        { id: "a", error: "Availability:TEST" },
        { id: "b", error: "Availability:TEST" },
        { id: "c", error: "Unknown:TIMEOUT" }
      ]
      const files = readdirSync(directory)
      // Nothing has been brought from the log into the file yet.
      assert.deepEqual(recordsInSpool(path), found)
      assert.deepEqual(readdirSync(directory), files)
      yield* spool.settle([1], [])
      assert.deepEqual(recordsInSpool(path), found.slice(2))
    }).pipe(Effect.scoped, Effect.runPromise))
})
