/** What others tell of themselves: clocks and mounts. */
import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { readDate } from "../../../src/internal/doctor/clock.ts"
import { mountOf } from "../../../src/internal/doctor/disk.ts"
import { read } from "../../../src/internal/doctor/quorum.ts"

describe("an HTTP date", () => {
  it("is taken in the middle of its second and of the call", () => {
    const from = Date.UTC(2026, 0, 1, 12, 0, 0)
    const date = "Thu, 01 Jan 2026 12:10:00 GMT"
    assert.deepEqual(readDate(date, from, from + 200), { skewMs: 600_400, withinMs: 600 })
    assert.equal(readDate("soon", from, from), undefined)
  })
})

describe("the controller's time", () => {
  const answer = (
    options: { readonly error?: number; readonly leader?: number; readonly at?: bigint } = {}
  ): Buffer => {
    const { at = 1_767_225_600_123n, error = 0, leader = 2 } = options
    const voter = (id: number, caughtUpAt: bigint) => {
      const bytes = Buffer.alloc(4 + 8 + 8 + 8 + 1)
      bytes.writeInt32BE(id)
      bytes.writeBigInt64BE(caughtUpAt, 20)
      return bytes
    }
    const partition = Buffer.alloc(4 + 2 + 4 + 4 + 8)
    partition.writeInt32BE(leader, 6)
    const head = Buffer.from([0, 0, error, 2, 19])
    return Buffer.concat([
      head,
      Buffer.from("__cluster_metadata"),
      Buffer.from([2]),
      partition,
      Buffer.from([3]),
      voter(1, 7n),
      voter(2, at),
      Buffer.from([1, 0, 0, 0])
    ])
  }

  it("is what the leader says of itself", () => {
    assert.deepEqual(read(answer()), { errorCode: 0, time: 1_767_225_600_123 })
    assert.deepEqual(read(answer({ leader: 1 })), { errorCode: 0, time: 7 })
  })

  it("is not known of a refusal, of a leader without a vote, and of -1", () => {
    assert.deepEqual(read(answer({ error: 31 })), { errorCode: 31, time: undefined })
    assert.deepEqual(read(answer({ leader: 9 })), { errorCode: 0, time: undefined })
    assert.deepEqual(read(answer({ at: -1n })), { errorCode: 0, time: undefined })
  })

  it("never reads past the end", () => {
    const whole = answer()
    // The leader's time is the last that is looked at: five bytes follow.
    for (let length = 0; length < whole.length - 5; length++) {
      assert.throws(() => read(whole.subarray(0, length)), RangeError)
    }
  })
})

describe("the mount of a path", () => {
  const mountinfo = [
    "22 1 0:20 / / rw,relatime - overlay overlay rw",
    "30 22 0:26 / /dev/shm rw,nosuid - tmpfs tmpfs rw",
    "31 22 259:1 / /data rw shared:1 master:2 - ext4 /dev/nvme1n1 rw",
    "32 22 259:2 / /data/two\\040words rw - xfs /dev/nvme2n1p1 rw",
    ""
  ].join("\n")

  it("is the longest that holds it", () => {
    const systems = [
      ["/dev/shm/spool.db", "tmpfs"],
      ["/dev/shmx/spool.db", "overlay"],
      ["/data/spool.db", "ext4"],
      ["/data/two words/spool.db", "xfs"],
      ["/data", "ext4"]
    ] as const
    for (const [path, fileSystem] of systems) assert.equal(mountOf(path, mountinfo)?.fileSystem, fileSystem, path)
    assert.equal(mountOf("/data/x", mountinfo)?.device, "/dev/nvme1n1")
    assert.equal(mountOf("/x", ""), undefined)
  })
})
