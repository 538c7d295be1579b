/**
 * DescribeQuorum v1 (KIP-836): the one answer in which Kafka tells the time without anything being written. The leader of
 * the metadata quorum, which is the active controller, reports "now" for itself.
 *
 * @see https://kafka.apache.org/protocol#The_Messages_DescribeQuorum
 */
import { Reader } from "../varint.ts"

export const describeQuorum = { apiKey: 55, apiName: "DescribeQuorum", version: 1 } as const

const topic = "__cluster_metadata"

/** What follows the client id: the end of a flexible request header, and the body. */
export const body = (): Buffer =>
  Buffer.concat([
    // No tags in the header; one topic.
    Buffer.from([0, 2, topic.length + 1]),
    Buffer.from(topic),
    // One partition, number 0, and no tags thrice.
    Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])
  ])

export interface QuorumAnswer {
  /** Kafka's error code; 0 for none. */
  readonly errorCode: number
  /** The controller's clock, ms since the epoch; undefined when the answer does not tell it. */
  readonly time: number | undefined
}

/** Throws when the answer is cut off. */
export const read = (payload: Uint8Array): QuorumAnswer => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  let at = 0
  const varint = (): number => {
    const reader = new Reader(payload, at)
    const value = reader.varint()
    if (value === undefined) throw new RangeError("the answer ends early")
    at = reader.position
    return value
  }
  const skip = (bytes: number): number => {
    at += bytes
    return at - bytes
  }
  const tags = () => {
    for (let left = varint(); left > 0; left--) {
      varint()
      skip(varint())
    }
  }
  const untold = (errorCode = 0): QuorumAnswer => ({ errorCode, time: undefined })
  tags()
  const whole = view.getInt16(skip(2))
  // Lengths are one more than they are, and there is one topic with one partition.
  if (whole !== 0 || varint() < 2) return untold(whole)
  skip(varint() - 1)
  if (varint() < 2) return untold()
  skip(4)
  const errorCode = view.getInt16(skip(2))
  if (errorCode !== 0) return untold(errorCode)
  const leader = view.getInt32(skip(4))
  skip(4 + 8)
  for (let voters = varint(); voters > 1; voters--) {
    const replica = view.getInt32(skip(4))
    skip(8 + 8)
    const caughtUpAt = Number(view.getBigInt64(skip(8)))
    if (replica === leader) return { errorCode, time: caughtUpAt > 0 ? caughtUpAt : undefined }
    tags()
  }
  return untold()
}
