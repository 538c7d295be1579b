import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { DatabaseSync } from "node:sqlite"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as RecordBatch from "../../src/RecordBatch.ts"
import * as Sqlite from "../../src/Spool/Sqlite.ts"
import type { Service, SpoolError } from "../../src/Spool.ts"
import { deleteDirectory, guardProcess, releaseProcess, temporaryDirectory } from "../support/Guard.ts"
import { envelopeOf, start } from "../support/SpoolProcess.ts"

const directory = temporaryDirectory("spool")
after(() => deleteDirectory(directory))

let files = 0
const newPath = (): string => join(directory, `${files++}.db`)
const MiB = 1024 * 1024

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> => Effect.runPromise(Effect.scoped(effect))
const everything = { batches: 1_000_000, bytes: Number.MAX_SAFE_INTEGER, skip: new Set<number>() }

const idsIn = (batch: Uint8Array): ReadonlyArray<string> =>
  Either.getOrThrow(RecordBatch.records(batch)).map(record => RecordBatch.idOf(record, "spillway-id") ?? "")
const idsOf = (spool: Service, topic = "events") =>
  Effect.map(spool.oldest(topic, everything), entries => entries.flatMap(({ envelope }) => idsIn(envelope.batch)))

/** What the file says of itself, read by nothing of ours. */
const integrity = (path: string): unknown => {
  const db = new DatabaseSync(path)
  try {
    return Object.values(db.prepare("PRAGMA integrity_check").get() ?? {})[0]
  } finally {
    db.close()
  }
}

describe("the spool's file", () => {
  it("keeps batches, oldest first and by topic, until they are settled, also over a restart", async () => {
    const path = newPath()
    await run(
      Effect.gen(function* () {
        const spool = yield* Sqlite.make({ path, maxBytes: MiB })
        yield* spool.put([envelopeOf(["a", "b"]), envelopeOf(["x"], 10, "other")])
        yield* spool.put([envelopeOf(["c"])])
        assert.deepEqual(yield* idsOf(spool), ["a", "b", "c"])
        assert.deepEqual(yield* idsOf(spool), ["a", "b", "c"])
        assert.deepEqual(yield* idsOf(spool, "other"), ["x"])
        const [first] = yield* spool.oldest("events", { ...everything, batches: 1 })
        const [second] = yield* spool.oldest("events", { ...everything, batches: 1, skip: new Set([first?.id ?? -1]) })
        assert.deepEqual(idsIn(second?.envelope.batch ?? new Uint8Array()), ["c"])
        // Whatever its size, the first is not held back by the bound.
        assert.equal((yield* spool.oldest("events", { ...everything, bytes: 1 })).length, 1)
      })
    )
    await run(
      Effect.gen(function* () {
        const spool = yield* Sqlite.make({ path, maxBytes: MiB })
        const { batches, bytes, fault, oldestAt, records } = spool.status()
        assert.deepEqual({ batches, records, fault }, { batches: 3, records: 4, fault: "" })
        assert.ok(bytes > 0)
        assert.ok(oldestAt !== undefined && oldestAt > 0)
        const [first] = yield* spool.oldest("events", everything)
        assert.deepEqual(first?.envelope, envelopeOf(["a", "b"]))
        const ids = yield* spool.settle([first?.id ?? -1], [envelopeOf(["b"])])
        assert.equal(ids.length, 1)
        assert.deepEqual(yield* idsOf(spool), ["c", "b"])
        const rest = [...(yield* spool.oldest("events", everything)), ...(yield* spool.oldest("other", everything))]
        yield* spool.settle(
          rest.map(({ id }) => id),
          []
        )
        assert.deepEqual(spool.status().topics, [])
        assert.deepEqual([spool.status().batches, spool.status().records, spool.status().bytes], [0, 0, 0])
      })
    )
    assert.equal(integrity(path), "ok")
  })

  it("is full at its bound, stores nothing of what does not fit, and goes on once there is room", () =>
    run(
      Effect.gen(function* () {
        const path = newPath()
        const spool = yield* Sqlite.make({ path, maxBytes: MiB })
        let stored = 0
        let error: SpoolError | undefined
        while (error === undefined && stored < 100) {
          const put = yield* Effect.either(spool.put([envelopeOf([`${stored}`], 50_000)]))
          if (Either.isLeft(put)) error = put.left
          else stored++
        }
        assert.equal(error?.reason, "Full")
        assert.equal(error.retryable, true)
        assert.match(error.message, new RegExp(`${path}.*database or disk is full`))
        assert.ok(stored >= 15 && stored < 21, `${stored} batches of 50 kB`)
        assert.match(spool.status().fault, /^Full: /)
        // Together they do not fit, so neither is there, though one alone would.
        const both = yield* Effect.flip(spool.put([envelopeOf(["small"]), envelopeOf(["large"], 200_000)]))
        assert.equal(both.reason, "Full")
        const ids = Array.from({ length: stored }, (_, index) => `${index}`)
        assert.deepEqual(yield* idsOf(spool), ids)
        // That it could be read made no room.
        assert.match(spool.status().fault, /^Full: /)
        const entries = yield* spool.oldest("events", { ...everything, batches: 3 })
        yield* spool.settle(
          entries.map(({ id }) => id),
          []
        )
        assert.equal(spool.status().fault, "")
        yield* spool.put([envelopeOf(["again"], 50_000)])
        assert.deepEqual(yield* idsOf(spool), [...ids.slice(3), "again"])
        assert.ok(statSync(path).size <= MiB)
      })
    ))

  it("takes what is left of a batch when it is full, also where that is larger, and nothing else", () =>
    run(
      Effect.gen(function* () {
        const spool = yield* Sqlite.make({ path: newPath(), maxBytes: MiB })
        let full: SpoolError | undefined
        while (full === undefined) {
          const stored = yield* Effect.either(spool.put([envelopeOf(["a"], 3000)]))
          if (Either.isLeft(stored)) full = stored.left
        }
        assert.equal(full.reason, "Full")
        const [first] = yield* spool.oldest("events", { ...everything, batches: 1 })
        yield* spool.settle([first?.id ?? -1], [envelopeOf(["b"], 30_000)])
        assert.ok((yield* idsOf(spool)).includes("b"))
        assert.equal((yield* Effect.flip(spool.put([envelopeOf(["c"], 30_000)]))).reason, "Full")
      })
    ))

  it("gives its room back when it is empty", () =>
    run(
      Effect.gen(function* () {
        const path = newPath()
        const spool = yield* Sqlite.make({ path, maxBytes: 64 * MiB })
        for (let i = 0; i < 10; i++) yield* spool.put([envelopeOf([`${i}`], MiB)])
        const entries = yield* spool.oldest("events", everything)
        yield* spool.settle(
          entries.map(({ id }) => id),
          []
        )
        assert.ok(statSync(path).size < MiB, `${statSync(path).size} bytes`)
        yield* spool.put([envelopeOf(["next"])])
        assert.deepEqual(yield* idsOf(spool), ["next"])
      })
    ))

  it("survives a disk without room, and uses what room there is later", async () => {
    const disk = join(directory, "disk")
    mkdirSync(disk)
    // A disk of its own where that is allowed; elsewhere the bound of the test above stands for it.
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status === 0
    try {
      await run(
        Effect.gen(function* () {
          const path = join(disk, "spool.db")
          const spool = yield* Sqlite.make({ path, maxBytes: mounted ? 1024 * MiB : MiB })
          const ballast = join(disk, "ballast")
          yield* spool.put([envelopeOf(["first"], 50_000)])
          if (mounted) {
            const { size } = statSync(path)
            assert.ok(size < MiB)
            spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=4096"])
          }
          const error = yield* Effect.flip(spool.put([envelopeOf(["second"], mounted ? 50_000 : 2 * MiB)]))
          assert.equal(error.reason, "Full")
          assert.deepEqual(yield* idsOf(spool), ["first"])
          rmSync(ballast, { force: true })
          yield* spool.put([envelopeOf(["third"], 50_000)])
          assert.deepEqual(yield* idsOf(spool), ["first", "third"])
          assert.equal(spool.status().fault, "")
        })
      )
    } finally {
      if (mounted) spawnSync("umount", [disk])
    }
  })

  it("says that a directory is missing, and works once it is there", () =>
    run(
      Effect.gen(function* () {
        const missing = join(directory, "missing")
        const path = join(missing, "spool.db")
        const spool = yield* Sqlite.make({ path, maxBytes: MiB })
        assert.match(spool.status().fault, /^Unwritable: spool .*missing/)
        const error = yield* Effect.flip(spool.put([envelopeOf(["a"])]))
        assert.deepEqual([error.reason, error.path, error.retryable], ["Unwritable", path, true])
        mkdirSync(missing)
        yield* spool.probe
        assert.equal(spool.status().fault, "")
        yield* spool.put([envelopeOf(["a"])])
        assert.deepEqual(yield* idsOf(spool), ["a"])
      })
    ))

  it("says that a file must not be written", async () => {
    const disk = join(directory, "read-only")
    mkdirSync(disk)
    const path = join(disk, "spool.db")
    // Rights do not stop root, a read-only disk does.
    const root = process.getuid?.() === 0
    const mounted = root && spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]).status === 0
    try {
      await run(Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool => spool.put([envelopeOf(["a"])])))
      if (mounted) assert.equal(spawnSync("mount", ["-o", "remount,ro", disk]).status, 0)
      else chmodSync(path, 0o444)
      const file = root && !mounted ? "/proc/self/spool.db" : path
      await run(
        Effect.gen(function* () {
          const spool = yield* Sqlite.make({ path: file, maxBytes: MiB })
          const error = yield* Effect.flip(spool.put([envelopeOf(["b"])]))
          assert.equal(error.reason, "Unwritable")
          assert.match(spool.status().fault, /^Unwritable: /)
        })
      )
    } finally {
      if (mounted) spawnSync("umount", [disk])
    }
  })

  it("leaves alone what is no spool, or one of a newer version", async () => {
    const text = newPath()
    writeFileSync(text, "no database at all\n".repeat(1000))
    const foreign = newPath()
    const other = new DatabaseSync(foreign)
    other.prepare("CREATE TABLE theirs (a)").run()
    other.close()
    const newer = newPath()
    await run(Effect.flatMap(Sqlite.make({ path: newer, maxBytes: MiB }), spool => spool.put([envelopeOf(["a"])])))
    const changed = new DatabaseSync(newer)
    changed.prepare("PRAGMA user_version = 2").run()
    changed.close()
    for (const [path, words] of [
      [text, /not a database/],
      [foreign, /of another program/],
      [newer, /of version 2/]
    ] as const) {
      const before = readFileSync(path)
      const error = await run(
        Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool => Effect.flip(spool.put([envelopeOf(["b"])])))
      )
      assert.equal(error.reason, "Corrupt")
      assert.equal(error.retryable, false)
      assert.match(error.message, words)
      assert.ok(error.message.includes(path))
      if (path !== foreign) assert.deepEqual(readFileSync(path), before)
    }
  })

  it("passes over a batch that is broken, counts it, and keeps it", async () => {
    const path = newPath()
    await run(
      Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool =>
        spool.put([envelopeOf(["a", "b"]), envelopeOf(["c"])])
      )
    )
    const db = new DatabaseSync(path)
    db.prepare("UPDATE batch SET envelope = CAST(substr(envelope, 1, length(envelope) - 1) AS BLOB) WHERE id = 1").run()
    db.close()
    await run(
      Effect.gen(function* () {
        const spool = yield* Sqlite.make({ path, maxBytes: MiB })
        for (let i = 0; i < 2; i++) {
          const [entry] = yield* spool.oldest("events", { ...everything, batches: 1 })
          assert.deepEqual(idsIn(entry?.envelope.batch ?? new Uint8Array()), ["c"])
        }
        assert.deepEqual([spool.status().unreadable, spool.status().records], [2, 3])
      })
    )
  })
})

describe("reasonOf", () => {
  it("knows SQLite's codes, extended ones too, and words where there is no code", () => {
    for (const [code, reason] of [
      [5, "Locked"],
      [6, "Locked"],
      [8, "Unwritable"],
      [10 | (4 << 8), "Unwritable"],
      [11 | (3 << 8), "Corrupt"],
      [13, "Full"],
      [14, "Unwritable"],
      [26, "Corrupt"],
      [1, "Unwritable"]
    ] as const) {
      assert.equal(Sqlite.reasonOf(Object.assign(new Error("words"), { errcode: code })), reason, `code ${code}`)
    }
    assert.equal(Sqlite.reasonOf(new Error("database is locked")), "Locked")
    assert.equal(Sqlite.reasonOf(new Error("file is not a database")), "Corrupt")
    assert.equal(Sqlite.reasonOf(new Error("unable to open database file: /x")), "Unwritable")
    assert.equal(Sqlite.reasonOf(null), "Unwritable")
  })
})

/** Kills of the process that spools: more by hand, with `SPOOL_KILLS=50`. */
const kills = Number(process.env.SPOOL_KILLS ?? 5)

describe("a process that owns the spool", () => {
  it(`locks it while it lives, and after ${kills} kills in the middle of writing nothing acknowledged is missing`, {
    timeout: 60_000 + kills * 10_000
  }, async () => {
    const path = newPath()
    let acknowledged = 0
    for (let round = 0; round < kills; round++) {
      const child = start(path)
      const { pid, stdout } = child
      assert.ok(pid !== undefined && stdout !== null)
      guardProcess(pid)
      const ended = new Promise(resolve => child.once("close", resolve))
      let output = ""
      let heard = () => {}
      stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text
        heard()
      })
      const lines = 1 + Math.floor(Math.random() * 12)
      await new Promise<void>(resolve => {
        heard = () => output.split("\n").length > lines && resolve()
      })
      if (round === 0) {
        const error = await run(
          Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool => Effect.flip(spool.put([envelopeOf(["b"])])))
        )
        assert.equal(error.reason, "Locked")
        assert.ok(error.message.includes(`${path} is in use by another process`), error.message)
      }
      // Anywhere between two commits: the moment is meant to be random.
      await new Promise(resolve => setTimeout(resolve, Math.random() * 20))
      process.kill(pid, "SIGKILL")
      await ended
      releaseProcess(pid)
      const whole = output.slice(0, output.lastIndexOf("\n"))
      const told = whole.split(/[\n ]/)
      assert.ok(existsSync(`${path}-wal`), "it was not closed in order")
      await run(
        Effect.gen(function* () {
          const spool = yield* Sqlite.make({ path, maxBytes: 1024 * MiB })
          const stored = new Set(yield* idsOf(spool))
          const missing = told.filter(id => !stored.has(id))
          assert.deepEqual(missing, [], `round ${round}`)
          assert.deepEqual([spool.status().unreadable, spool.status().fault], [0, ""])
          acknowledged += told.length
          const entries = yield* spool.oldest("events", everything)
          assert.equal(
            entries.reduce((sum, { envelope }) => sum + envelope.recordCount, 0),
            spool.status().records
          )
          yield* spool.settle(
            entries.map(({ id }) => id),
            []
          )
        })
      )
      assert.equal(integrity(path), "ok")
    }
    assert.ok(acknowledged >= kills)
    if (process.env.SPOOL_KILLS !== undefined) {
      process.stderr.write(`${kills} kills, ${acknowledged} acknowledged records, 0 missing\n`)
    }
  })
})
