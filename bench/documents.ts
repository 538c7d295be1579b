/** Large JSON documents as services exchange them: arrays of events, which repeat their member names and little else. */
import { zstdCompressSync } from "node:zlib"
import { eventCount, events } from "./events.ts"

/** `count` different ones of exactly `size` bytes each, without line breaks. */
export const documents = (size: number, count: number): ReadonlyArray<Buffer> => {
  const parts = events(220).map(event => event.toString("latin1"))
  return Array.from({ length: count }, (_, index) => {
    let text = `{"document":${index},"events":[`
    for (let at = index * 17; text.length < size; at++) {
      // Ids are what compresses least, and real events have some.
      const id = Buffer.from(`${index}/${at}/${(at * 2_654_435_761) % 4_294_967_296}`).toString("base64url")
      text += `{"id":"${id}",${parts[at % eventCount]?.slice(1)},`
    }
    return Buffer.from(`${text.slice(0, size - 3)}"]}`, "latin1")
  })
}

/** Bytes before over bytes after zstd at the level Spillway uses. */
export const zstdRatio = (values: ReadonlyArray<Buffer>): number =>
  values.reduce((sum, { length }) => sum + length, 0) /
  values.reduce((sum, value) => sum + zstdCompressSync(value, { params: { 100: 1 } }).length, 0)
