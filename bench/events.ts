/**
 * The values every contender sends: JSON events of an exact size, partly regular as events are, partly random. The same
 * ones in every process.
 */

/** Values made in advance; contenders cycle through them. A power of two. */
export const eventCount = 1024

/** xorshift32, so that all processes send the same bytes. */
const randomNumbers = (): (() => number) => {
  let state = 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

const types = ["order.created", "order.paid", "order.shipped", "cart.updated", "user.signed_in"] as const
const words = ["alpha", "bravo", "delta", "kilo", "lima", "oscar", "romeo", "sierra", "tango", "zulu"] as const

/** So many where batches are compressed: no batch holds the same event twice, as it would with `eventCount`. */
const manyEvents = 8 * eventCount

/** `size` bytes each, ASCII, without line breaks; a power of two of them. At least 160 bytes. */
export const events = (size: number, compression = "none"): ReadonlyArray<Buffer> => {
  const random = randomNumbers()
  return Array.from({ length: compression === "none" ? eventCount : manyEvents }, (_, index) => {
    const event = {
      type: types[random() % types.length],
      user: 1_000_000 + (random() % 9_000_000),
      session: random().toString(16).padStart(8, "0"),
      amount: (random() % 100_000) / 100,
      currency: "EUR",
      at: new Date(1_760_000_000_000 + index * 37).toISOString(),
      note: ""
    }
    const room = size - JSON.stringify(event).length
    if (room < 0) throw new Error(`an event takes more than ${size} bytes`)
    let note = ""
    while (note.length < room) note += `${words[random() % words.length]} `
    return Buffer.from(JSON.stringify({ ...event, note: note.slice(0, room) }))
  })
}
