/**
 * Groups parked batches into messages that fit the queue. How far zstd will shrink a pack is only known afterwards, so
 * the packer aims at a size learnt from the packs before, and halves what turns out too large.
 */
import * as Effect from "effect/Effect"
import * as Envelope from "../Envelope.ts"
import { joined, lengthOf, type Pieces } from "./slices.ts"
import { attributeBytes, maximumAttributes } from "./sqsSize.ts"

/** What can be packed; callers hand in their own objects and get them back in the result. */
export interface Packable {
  readonly envelope: Envelope.Envelope
  /** Record id of the batch's first record, for the message's readable attributes. */
  readonly firstId: string
}

/** One message, ready to be sent. */
export interface Packed<A> {
  readonly items: ReadonlyArray<A>
  readonly body: string
  /** `spillway-version`, `-topic` (when all the same), `-records`, `-first-id`, `-origin`. */
  readonly attributes: Readonly<Record<string, string>>
  /** What it counts for in SQS: body and attributes, bytes. */
  readonly bytes: number
  readonly recordCount: number
}

/** A batch that fits into no message, not even alone and compressed. */
export interface TooLarge<A> {
  readonly item: A
  /** What its message would have counted for, bytes. */
  readonly bytes: number
  /** The pack no message can hold, compressed if that helped. */
  readonly pack: Pieces
}

/** Everything handed in, once: in `packed`, in order, or in `tooLarge`. */
export interface PackResult<A> {
  readonly packed: ReadonlyArray<Packed<A>>
  readonly tooLarge: ReadonlyArray<TooLarge<A>>
}

/** Keeps what it learnt about compression between calls; one per queue. */
export interface Packer {
  readonly pack: <A extends Packable>(items: ReadonlyArray<A>) => Effect.Effect<PackResult<A>>
  /** Uncompressed bytes a pack is filled up to at present. */
  readonly target: () => number
}

/** Uncompressed bytes of a pack at most, however well it shrinks: bounds the memory of whoever unpacks it. */
export const maximumPackBytes = 8 * 1024 * 1024
/** Body bytes per pack byte when nothing shrinks: base64 writes 4 characters for 3 bytes. */
const worstRatio = 4 / 3
/** Room for the next pack shrinking less than the last one did. */
const headroom = 0.9
/** Packs compressed at the same time; zstd runs on the runtime's own thread pool. */
const concurrency = 2
const maximumAttributeCharacters = 256

/** SQS refuses a whole message for one control character in an attribute, and ids are the caller's to choose. */
const readable = (text: string): string => text.slice(0, maximumAttributeCharacters).replace(/[^\x20-\x7e]/g, "?")

const countRecords = (items: ReadonlyArray<Packable>): number =>
  items.reduce((sum, item) => sum + item.envelope.recordCount, 0)

/** Readable attributes of one message; they are for people and tools, replay reads the body alone. */
export const attributesOf = (items: ReadonlyArray<Packable>): Readonly<Record<string, string>> => {
  const first = items[0]
  const topic = first?.envelope.topic ?? ""
  const candidates: ReadonlyArray<readonly [string, string]> = [
    ["spillway-version", String(Envelope.packVersion)],
    ["spillway-records", String(countRecords(items))],
    ["spillway-topic", items.every(item => item.envelope.topic === topic) ? topic : ""],
    ["spillway-first-id", first?.firstId ?? ""],
    ["spillway-origin", first?.envelope.origin ?? ""]
  ]
  const written = candidates.filter(([, value]) => value !== "").slice(0, maximumAttributes)
  return Object.fromEntries(written.map(([name, value]) => [name, readable(value)]))
}

/** `items` in order, in groups of at most `target` uncompressed bytes; a larger one stands alone. */
export const plan = <A extends Packable>(items: ReadonlyArray<A>, target: number): ReadonlyArray<ReadonlyArray<A>> => {
  const groups: Array<Array<A>> = []
  let group: Array<A> = []
  let content = 0
  for (const item of items) {
    const size = Envelope.encodedSize(item.envelope)
    if (group.length > 0 && Envelope.packSize(content + size) > target) {
      groups.push(group)
      group = []
      content = 0
    }
    group.push(item)
    content += size
  }
  if (group.length > 0) groups.push(group)
  return groups
}

/** `maximumMessageBytes`: the queue's own limit for body and attributes together. */
export const makePacker = (maximumMessageBytes: number): Packer => {
  let ratio = worstRatio

  const target = (): number => Math.min(maximumPackBytes, Math.floor((headroom * maximumMessageBytes) / ratio))

  const learn = (packBytes: number, bodyBytes: number): void => {
    // A small pack shrinks worse than a full one would, and its size was never in doubt.
    if (packBytes * worstRatio < maximumMessageBytes / 4) return
    const seen = bodyBytes / packBytes
    // Down in halves, up at once: packing too little costs a request, too much a second compression.
    ratio = seen > ratio ? Math.min(seen, worstRatio) : (ratio + seen) / 2
  }

  const packGroup = <A extends Packable>(items: ReadonlyArray<A>): Effect.Effect<PackResult<A>> =>
    Effect.suspend(() => {
      const content = items.reduce((sum, { envelope }) => sum + Envelope.encodedSize(envelope), 0)
      return Effect.flatMap(Envelope.packed(items.map(item => item.envelope)), compressed => {
        const bodyBytes = Envelope.bodyLength(lengthOf(compressed))
        learn(Envelope.packSize(content), bodyBytes)
        const attributes = attributesOf(items)
        const bytes = bodyBytes + attributeBytes(attributes)
        if (bytes <= maximumMessageBytes) {
          const body = Envelope.bodyOf(joined(compressed))
          const packed: Packed<A> = { items, body, attributes, bytes, recordCount: countRecords(items) }
          return Effect.succeed({ packed: [packed], tooLarge: [] })
        }
        const [only, second] = items
        if (only !== undefined && second === undefined) {
          return Effect.succeed({ packed: [], tooLarge: [{ item: only, bytes, pack: compressed }] })
        }
        const middle = Math.ceil(items.length / 2)
        return packGroups([items.slice(0, middle), items.slice(middle)])
      })
    })

  const packGroups = <A extends Packable>(groups: ReadonlyArray<ReadonlyArray<A>>): Effect.Effect<PackResult<A>> =>
    Effect.map(Effect.forEach(groups, packGroup<A>, { concurrency }), results => ({
      packed: results.flatMap(result => result.packed),
      tooLarge: results.flatMap(result => result.tooLarge)
    }))

  return { target, pack: items => Effect.suspend(() => packGroups(plan(items, target()))) }
}
