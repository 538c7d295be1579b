/**
 * The open file of the spool: its pragmas, its one table, and each change a transaction. Synchronous, and everything may
 * throw what SQLite throws.
 *
 * @see https://www.sqlite.org/wal.html#noshm, https://www.sqlite.org/pragma.html#pragma_synchronous
 */
import { DatabaseSync } from "node:sqlite"
import * as Either from "effect/Either"
import * as Envelope from "../Envelope.ts"
import { type Entry, SpoolError } from "../Spool.ts"

/** "SPWS": says in the file's header whose database it is. */
const applicationId = 0x53505753
/** Of the tables; the batches in them carry their own (`Envelope`). */
const formatVersion = 1
/** What is left of the log after a checkpoint, bytes. */
const logBytes = 8 * 1024 * 1024
/** Batches looked at together on the way to the oldest. */
const page = 100
/** SQLite's own largest number of pages. */
const anyPages = 4_294_967_294
/** A file with fewer pages is not worth giving back once it is empty. */
const smallPages = 256

interface Totals {
  batches: number
  records: number
  bytes: number
}

/** An open file. Every statement is prepared and run, not `exec`ed: only so does Deno hand on SQLite's result code. */
export class SpoolFile {
  readonly topics = new Map<string, Totals>()
  oldestAt: number | undefined
  readonly #db: DatabaseSync
  readonly #maxPages: number
  readonly #insert
  readonly #remove
  readonly #list
  readonly #read
  readonly #first

  /** @param maxBytes nothing more is taken in beyond this size of the file */
  constructor(path: string, maxBytes: number) {
    this.#db = new DatabaseSync(path)
    try {
      this.#pragma("locking_mode = EXCLUSIVE")
      const mode = this.#pragma("journal_mode = WAL")
      if (mode !== "wal") throw new Error(`no write-ahead log is possible there, only ${mode}`)
      this.#pragma("synchronous = FULL")
      this.#pragma(`journal_size_limit = ${logBytes}`)
      this.#maxPages = Math.max(1, Math.floor(maxBytes / Number(this.#pragma("page_size"))))
      this.#bound(this.#maxPages)
      this.#transaction(() => this.#initialise(path))
      this.#insert = this.#db.prepare(
        "INSERT INTO batch (topic, records, bytes, stored_at, envelope) VALUES (?, ?, ?, ?, ?)"
      )
      this.#remove = this.#db.prepare("DELETE FROM batch WHERE id = ? RETURNING topic, records, bytes")
      this.#list = this.#db.prepare(`SELECT id, bytes FROM batch WHERE topic = ? AND id > ? ORDER BY id LIMIT ${page}`)
      this.#read = this.#db.prepare("SELECT records, stored_at, envelope FROM batch WHERE id = ?")
      this.#first = this.#db.prepare("SELECT stored_at FROM batch ORDER BY id LIMIT 1")
      const totals = this.#db.prepare(
        "SELECT topic, count(*) AS batches, sum(records) AS records, sum(bytes) AS bytes FROM batch GROUP BY topic"
      )
      for (const row of totals.all()) {
        this.topics.set(String(row.topic), {
          batches: Number(row.batches),
          records: Number(row.records),
          bytes: Number(row.bytes)
        })
      }
      this.#look()
    } catch (cause) {
      this.close()
      throw cause
    }
  }

  #bound(pages: number): void {
    this.#pragma(`max_page_count = ${pages}`)
  }

  #pragma(text: string): unknown {
    return Object.values(this.#db.prepare(`PRAGMA ${text}`).get() ?? {})[0]
  }

  #initialise(path: string): void {
    const refuse = (message: string) => {
      throw new SpoolError({ reason: "Corrupt", path, message: `${path} ${message}`, retryable: false })
    }
    const owner = this.#pragma("application_id")
    if (owner === applicationId) {
      const version = this.#pragma("user_version")
      if (version !== formatVersion) refuse(`is a spool of version ${version}; this build reads ${formatVersion}`)
      return
    }
    const tables = this.#db.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.tables
    if (owner !== 0 || tables !== 0) refuse("is a database of another program")
    this.#pragma(`application_id = ${applicationId}`)
    this.#pragma(`user_version = ${formatVersion}`)
    const statements = [
      "CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL, stored_at INTEGER NOT NULL, envelope BLOB NOT NULL) STRICT",
      // Covers the totals and the search for the oldest: neither reads a batch.
      "CREATE INDEX batch_by_topic ON batch (topic, id, records, bytes)"
    ]
    for (const statement of statements) this.#db.prepare(statement).run()
  }

  #transaction<A>(work: () => A): A {
    this.#db.prepare("BEGIN IMMEDIATE").run()
    try {
      const result = work()
      this.#db.prepare("COMMIT").run()
      return result
    } catch (cause) {
      // SQLite has rolled back by itself when the disk was full or failed.
      if (this.#db.isTransaction) this.#db.prepare("ROLLBACK").run()
      throw cause
    }
  }

  #look(): void {
    const at = this.#first.get()?.stored_at
    this.oldestAt = at === undefined ? undefined : Number(at)
  }

  #count(topic: string, batches: number, records: number, bytes: number): void {
    const totals = this.topics.get(topic) ?? { batches: 0, records: 0, bytes: 0 }
    totals.batches += batches
    totals.records += records
    totals.bytes += bytes
    if (totals.batches > 0) this.topics.set(topic, totals)
    else this.topics.delete(topic)
  }

  /** Removes and stores in one transaction; the ids of what was stored. */
  write(ids: ReadonlyArray<number>, envelopes: ReadonlyArray<Envelope.Envelope>, now: number): ReadonlyArray<number> {
    if (ids.length === 0) return this.#replace(ids, envelopes, now)
    // What is left of a compressed batch may be larger than it was, and a full spool must be able to get emptier.
    this.#bound(anyPages)
    try {
      return this.#replace(ids, envelopes, now)
    } finally {
      this.#bound(this.#maxPages)
    }
  }

  #replace(
    ids: ReadonlyArray<number>,
    envelopes: ReadonlyArray<Envelope.Envelope>,
    now: number
  ): ReadonlyArray<number> {
    const changes: Array<readonly [topic: string, batches: number, records: number, bytes: number]> = []
    const stored = this.#transaction(() => {
      for (const id of ids) {
        const row = this.#remove.get(id)
        if (row !== undefined) changes.push([String(row.topic), -1, -Number(row.records), -Number(row.bytes)])
      }
      return envelopes.map(envelope => {
        const { recordCount, topic } = envelope
        const pack = Envelope.encode([envelope])
        changes.push([topic, 1, recordCount, pack.length])
        return Number(this.#insert.run(topic, recordCount, pack.length, now, pack).lastInsertRowid)
      })
    })
    for (const change of changes) this.#count(...change)
    this.#look()
    if (this.topics.size === 0) this.#giveBack()
    return stored
  }

  /** An empty file returns its room to the disk. */
  #giveBack(): void {
    try {
      if (Number(this.#pragma("page_count")) < smallPages) return
      this.#db.prepare("VACUUM").run()
      this.#pragma("wal_checkpoint(TRUNCATE)")
    } catch {
      // It keeps the room for what comes next.
    }
  }

  /** Ids and sizes of some of a topic's batches, from the first behind `after` on. */
  list(topic: string, after: number): ReadonlyArray<{ readonly id: number; readonly bytes: number }> {
    return this.#list.all(topic, after).map(row => ({ id: Number(row.id), bytes: Number(row.bytes) }))
  }

  read(id: number): { readonly records: number; readonly entry: Entry | undefined } {
    const row = this.#read.get(id)
    if (row === undefined || !(row.envelope instanceof Uint8Array)) return { records: 0, entry: undefined }
    const envelope = Either.getOrUndefined(Envelope.decode(row.envelope))?.[0]
    const entry = envelope === undefined ? undefined : { id, envelope, storedAt: Number(row.stored_at) }
    return { records: Number(row.records), entry }
  }

  close(): void {
    try {
      this.#db.close()
    } catch {
      // A file that fails to close is no more use than one that did.
    }
  }
}
