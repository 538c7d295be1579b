/**
 * What lies in a spool's file, read without Spillway's own account of it. Only while no process has it open.
 */
import { copyFileSync, existsSync, rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as Either from "effect/Either"
import * as Envelope from "../../src/Envelope.ts"
import { type ParkedRecord, recordsOf } from "./QueueWitness.ts"

/** From a copy: opening the file itself would bring its log in, which is for its next owner to do. */
export const recordsInSpool = (path: string): ReadonlyArray<ParkedRecord> => {
  if (!existsSync(path)) return []
  const copy = `${path}-copy`
  const parts = ["", "-wal"]
  try {
    for (const part of parts) if (existsSync(path + part)) copyFileSync(path + part, copy + part)
    const database = new DatabaseSync(copy)
    try {
      return database
        .prepare("SELECT envelope FROM batch ORDER BY id")
        .all()
        .flatMap(({ envelope }) => {
          if (!(envelope instanceof Uint8Array)) throw new Error(`${path} holds no envelope where one should be`)
          return recordsOf(Either.getOrThrow(Envelope.decode(envelope)))
        })
    } finally {
      database.close()
    }
  } finally {
    for (const part of [...parts, "-shm"]) rmSync(copy + part, { force: true })
  }
}
