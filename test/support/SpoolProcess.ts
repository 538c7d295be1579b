/**
 * A process that owns a spool: run as a program it spools one group of batches after the other, and writes each group's
 * record ids to its standard output once the spool has said that they are stored. It ends when it is killed.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { writeSync } from "node:fs"
import process from "node:process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type { Envelope } from "../../src/Envelope.ts"
import * as Sqlite from "../../src/Spool/Sqlite.ts"
import * as Batches from "./batches.ts"

/** An envelope with one record per id, each value `bytes` long. */
export const envelopeOf = (ids: ReadonlyArray<string>, bytes = 10, topic = "events"): Envelope => ({
  ...Batches.envelopeOf(ids.map(id => ({ id, value: new Uint8Array(bytes).fill(ids.length) }))),
  topic
})

const isDeno = "Deno" in globalThis

/** Starts it on the runtime the test runs on. */
export const start = (path: string): ChildProcess => {
  const file = fileURLToPath(import.meta.url)
  const args = isDeno ? ["run", "-A", "--no-check", file, path] : [file, path]
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
}

const main = (path: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const spool = yield* Sqlite.make({ path, maxBytes: 1024 * 1024 * 1024 })
      for (let group = 0; ; group++) {
        // Of many sizes: from a fraction of a page to several MiB in one transaction.
        const batches = Array.from({ length: 1 + (group % 7) }, (_, batch) =>
          envelopeOf([`${group}-${batch}-0`, `${group}-${batch}-1`], [50, 3000, 150_000][group % 3])
        )
        yield* spool.put(batches)
        const ids = batches.flatMap((_, batch) => [`${group}-${batch}-0`, `${group}-${batch}-1`])
        // In one write, so that a line is whole or not there.
        writeSync(1, `${ids.join(" ")}\n`)
        // Replacing is a transaction of its own kind.
        if (group % 10 === 9) {
          const limits = { batches: 1, bytes: 1, skip: new Set<number>() }
          const [first] = yield* spool.oldest("events", limits)
          if (first !== undefined) yield* spool.settle([first.id], [first.envelope])
        }
      }
    })
  )

if (import.meta.main) await Effect.runPromise(main(process.argv[2] ?? ""))
