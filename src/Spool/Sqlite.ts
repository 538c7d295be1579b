/**
 * The spool as one SQLite file: write-ahead log, `synchronous=FULL` (each commit is an fsync of the log), and SQLite's
 * exclusive locking mode, whose lock the system releases when its owner dies, however it dies.
 *
 * The calls are synchronous, as `node:sqlite` is: a commit holds up the event loop for as long as the disk takes. Nothing
 * runs here while Kafka or the queue takes records.
 *
 * @see https://www.sqlite.org/wal.html#noshm, https://www.sqlite.org/pragma.html#pragma_synchronous
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Envelope } from "../Envelope.ts"
import { spoolError } from "../internal/spoolErrors.ts"
import type { Entry, Service, SpoolError, TopicStatus } from "../Spool.ts"
import { SpoolFile } from "./spoolFile.ts"

export { reasonOf } from "../internal/spoolErrors.ts"

export interface Options {
  /** Its directory must exist. */
  readonly path: string
  /** Nothing more is taken in beyond this size of the file, bytes. */
  readonly maxBytes: number
}

/** Never fails: a file that cannot be opened now is tried again at each use, and `status` says why it could not. */
export const make = (options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { maxBytes, path } = options
    const unreadable = new Map<number, number>()
    let file: SpoolFile | undefined
    let fault: SpoolError | undefined

    const close = () => {
      file?.close()
      file = undefined
    }
    const withFile = <A>(stores: boolean, work: (file: SpoolFile) => A): Effect.Effect<A, SpoolError> =>
      Effect.try({
        try: () => {
          file ??= new SpoolFile(path, maxBytes)
          const result = work(file)
          // That it can be read does not make room in it.
          if (stores || fault?.reason !== "Full") fault = undefined
          return result
        },
        catch: cause => {
          fault = spoolError(path, cause)
          // Whatever else went wrong, opening it anew finds out how things are.
          if (fault.reason !== "Full") close()
          return fault
        }
      })
    const write = (ids: ReadonlyArray<number>, envelopes: ReadonlyArray<Envelope>) =>
      Effect.flatMap(Clock.currentTimeMillis, now => withFile(true, open => open.write(ids, envelopes, now)))

    yield* Effect.addFinalizer(() => Effect.sync(close))
    const probe = withFile(false, () => undefined)
    yield* Effect.ignore(probe)

    return {
      path,
      put: envelopes => Effect.asVoid(write([], envelopes)),
      settle: write,
      probe,
      oldest: (topic, { batches, bytes, skip }) =>
        withFile(false, open => {
          const entries: Array<Entry> = []
          let size = 0
          for (let found = open.list(topic, 0); found.length > 0; found = open.list(topic, found.at(-1)?.id ?? 0)) {
            for (const one of found) {
              if (skip.has(one.id) || unreadable.has(one.id)) continue
              if (entries.length >= batches || (entries.length > 0 && size + one.bytes > bytes)) return entries
              const { entry, records } = open.read(one.id)
              if (entry === undefined) unreadable.set(one.id, records)
              else {
                entries.push(entry)
                size += one.bytes
              }
            }
          }
          return entries
        }),
      status: () => {
        const topics = Array.from(
          file?.topics ?? [],
          ([topic, { batches, records }]): TopicStatus => ({ topic, batches, records })
        )
        const total = { batches: 0, records: 0, bytes: 0 }
        for (const { batches, bytes, records } of file?.topics.values() ?? []) {
          total.batches += batches
          total.records += records
          total.bytes += bytes
        }
        return {
          path,
          ...total,
          maxBytes,
          topics,
          oldestAt: file?.oldestAt,
          unreadable: Array.from(unreadable.values()).reduce((sum, records) => sum + records, 0),
          fault: fault === undefined ? "" : `${fault.reason}: ${fault.message}`
        }
      }
    }
  })
