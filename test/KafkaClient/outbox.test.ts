import assert from "node:assert/strict"
import { connect, createServer } from "node:net"
import { describe, it } from "node:test"
import { Outbox, sliceBytes } from "../../src/KafkaClient/outbox.ts"
import { noise } from "../support/batches.ts"

/** A socket that keeps what it was given until it is told that the system took it. */
const slow = () => {
  const given: Array<Uint8Array> = []
  const done: Array<() => void> = []
  const outbox = new Outbox(() => ({
    write: (bytes, told) => {
      given.push(bytes)
      if (told !== undefined) done.push(told)
    }
  }))
  return { given, outbox, take: () => done.shift()?.() }
}

describe("what leaves over a broker's socket", () => {
  it("a small piece leaves at once, however much the socket holds already", () => {
    const { given, outbox } = slow()
    for (const text of ["a", "b", "c"]) outbox.write(Buffer.from(text))
    assert.equal(Buffer.concat(given).toString(), "abc")
  })

  it("of a large piece the socket holds one slice at a time, a view, and what comes meanwhile waits its turn", () => {
    const { given, outbox, take } = slow()
    const first = noise(3 * sliceBytes + 5, 1)
    const second = noise(2 * sliceBytes, 2)
    outbox.write(first)
    outbox.write(Buffer.from("between"))
    outbox.write(second)
    for (let taken = 0; taken < 7; taken++) {
      assert.equal(given.length, taken + 1)
      take()
    }
    assert.ok(given.every(({ length }) => length <= sliceBytes))
    assert.equal(given[0]?.buffer, first.buffer)
    assert.ok(Buffer.concat(given).equals(Buffer.concat([first, Buffer.from("between"), second])))
    outbox.write(Buffer.from("after"))
    assert.equal(given.length, 8)
  })

  it("whoever writes beside it waits for the end of the piece, or until what is left of it is forgotten", async () => {
    const { given, outbox, take } = slow()
    await outbox.empty
    outbox.write(noise(2 * sliceBytes, 1))
    let empty = false
    const waited = outbox.empty.then(() => {
      empty = true
    })
    take()
    await Promise.resolve()
    assert.equal(empty, false)
    take()
    await waited
    outbox.write(noise(2 * sliceBytes, 1))
    const cleared = outbox.empty
    outbox.clear()
    await cleared
    take()
    assert.equal(given.length, 3)
  })

  it("brings a large piece through a real socket whose reader pauses", async () => {
    const sent = noise(20 * sliceBytes + 1, 3)
    const got = await new Promise<Buffer>((resolve, reject) => {
      const server = createServer(socket => {
        const chunks: Array<Buffer> = []
        socket.on("data", chunk => {
          chunks.push(Buffer.from(chunk))
          socket.pause()
          setImmediate(() => socket.resume())
        })
        socket.on("end", () => {
          server.close()
          resolve(Buffer.concat(chunks))
        })
      })
      server.on("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        if (address === null || typeof address === "string") return reject(new Error("no port"))
        const socket = connect(address.port, "127.0.0.1", () => {
          const outbox = new Outbox(() => socket)
          outbox.write(sent)
          outbox.write(Buffer.from("end"))
          outbox.empty.then(() => socket.end(), reject)
        })
        socket.on("error", reject)
      })
    })
    assert.ok(got.equals(Buffer.concat([sent, Buffer.from("end")])))
  })
})
