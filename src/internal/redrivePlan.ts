/**
 * In which messages records go back to the fallback queue. That queue keeps no order between messages, so that all records
 * of a key travel in one, in the order in which they were published as far as that can be known.
 */
import type { Envelope } from "../Envelope.ts"
import * as RecordBatch from "../RecordBatch.ts"
import type { Letter } from "./deadLetter.ts"

/** One record that is to go, and where it comes from. */
export interface Piece<A> {
  /** Whose record it is. */
  readonly owner: A
  readonly envelope: Envelope
  readonly record: RecordBatch.ReadRecord
  /** Index of the envelope in its message, and of the record in its envelope. */
  readonly place: readonly [envelope: number, record: number]
  /** The newest timestamp of its batch so far: within a batch the position counts, not what callers wrote. */
  readonly time: number
  readonly sentAt: number
  readonly messageId: string
}

/** Records of one envelope that stay together. */
export interface Parcel<A> {
  readonly envelope: Envelope
  readonly firstId: string
  readonly pieces: ReadonlyArray<Piece<A>>
}

export interface Chunk<A> {
  readonly parcels: ReadonlyArray<Parcel<A>>
  readonly records: number
}

export interface Plan<A> {
  readonly chunks: ReadonlyArray<Chunk<A>>
  /** Keys whose records fit into no one message: others may overtake them. */
  readonly splitKeys: number
}

/** What a record costs beside its own bytes when it is alone in its envelope: heads of batch and envelope. */
const headBytes = 160

const bytesOf = <A>({ envelope, record }: Piece<A>): number =>
  headBytes +
  record.tail.length +
  2 * (envelope.topic.length + envelope.lastError.length + envelope.origin.length + envelope.traceParent.length)

const inOrder = <A>(a: Piece<A>, b: Piece<A>): number =>
  a.time - b.time ||
  a.sentAt - b.sentAt ||
  (a.messageId < b.messageId ? -1 : a.messageId > b.messageId ? 1 : 0) ||
  a.place[0] - b.place[0] ||
  a.place[1] - b.place[1]

/** The records of an envelope at these positions, as pieces. */
export const piecesOf = <A>(
  owner: A,
  { message }: Pick<Letter, "message">,
  envelope: Envelope,
  index: number,
  records: ReadonlyArray<RecordBatch.ReadRecord>,
  positions: ReadonlyArray<number>
): ReadonlyArray<Piece<A>> => {
  const wanted = new Set(positions)
  const pieces: Array<Piece<A>> = []
  let time = Number.NEGATIVE_INFINITY
  records.forEach((record, position) => {
    time = Math.max(time, record.timestamp)
    if (!wanted.has(position)) return
    const { messageId, sentAt } = message
    pieces.push({ owner, envelope, record, place: [index, position], time, sentAt, messageId })
  })
  return pieces
}

/** Pieces of one message in order, each run out of one envelope as one. */
const parcelsOf = <A>(pieces: ReadonlyArray<Piece<A>>, idHeader: string): ReadonlyArray<Parcel<A>> => {
  const runs: Array<Array<Piece<A>>> = []
  for (const piece of Array.from(pieces).sort(inOrder)) {
    const run = runs.at(-1)
    if (run?.[0]?.envelope === piece.envelope) run.push(piece)
    else runs.push([piece])
  }
  return runs.flatMap(run => {
    const [first] = run
    if (first === undefined) return []
    const { envelope, record } = first
    const whole = run.length === envelope.recordCount
    const batch = whole ? envelope.batch : RecordBatch.fromRecords(run.map(one => one.record))
    return [
      {
        envelope: { ...envelope, notBefore: 0, recordCount: run.length, batch },
        firstId: RecordBatch.idOf(record, idHeader) ?? "",
        pieces: run
      }
    ]
  })
}

/**
 * Every piece once. Chunks hold no more than so many bytes (uncompressed), and no more than so many records unless a key
 * has more.
 */
export const plan = <A>(
  pieces: ReadonlyArray<Piece<A>>,
  limits: { readonly bytes: number; readonly records: number },
  idHeader: string
): Plan<A> => {
  const byKey = new Map<string, Array<Piece<A>>>()
  const groups: Array<Array<Piece<A>>> = []
  for (const piece of Array.from(pieces).sort(inOrder)) {
    const { key } = piece.record
    const name = key === null ? undefined : `${piece.envelope.topic} ${Buffer.from(key).toString("latin1")}`
    const same = name === undefined ? undefined : byKey.get(name)
    if (same !== undefined) {
      same.push(piece)
      continue
    }
    const group = [piece]
    groups.push(group)
    if (name !== undefined) byKey.set(name, group)
  }
  const chunks: Array<Array<Piece<A>>> = []
  let chunk: Array<Piece<A>> = []
  let bytes = 0
  let splitKeys = 0
  const close = () => {
    if (chunk.length > 0) chunks.push(chunk)
    chunk = []
    bytes = 0
  }
  for (const group of groups) {
    const size = group.reduce((sum, piece) => sum + bytesOf(piece), 0)
    if (bytes + size > limits.bytes || chunk.length + group.length > limits.records) close()
    if (size > limits.bytes && group.length > 1) splitKeys++
    for (const piece of group) {
      const one = bytesOf(piece)
      if (bytes + one > limits.bytes) close()
      chunk.push(piece)
      bytes += one
    }
  }
  close()
  return { splitKeys, chunks: chunks.map(some => ({ parcels: parcelsOf(some, idHeader), records: some.length })) }
}
