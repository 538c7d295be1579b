/**
 * Which partition a record goes to: chosen once, by the rule the other producers of the topic use.
 *
 * `default` and `murmur2` hash keys as the Java client does (KIP-480 for the sticky choice without a key). `hash`,
 * `crc32`, `round_robin` and `least_bytes` behave like segmentio/kafka-go's balancers of those names.
 */
import { crc32 } from "node:zlib"

export type Balancer = "default" | "hash" | "round_robin" | "least_bytes" | "murmur2" | "crc32"

/**
 * Murmur2 as in org.apache.kafka.common.utils.Utils, seed 0x9747b28c.
 *
 * @returns a signed 32-bit number
 */
export const murmur2 = (bytes: Uint8Array, length: number): number => {
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    let k = (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const rest = length - i
  if (rest >= 3) h ^= (bytes[i + 2] ?? 0) << 16
  if (rest >= 2) h ^= (bytes[i + 1] ?? 0) << 8
  if (rest >= 1) {
    h ^= bytes[i] ?? 0
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h | 0
}

/** FNV-1a, 32 bits, as a signed number. */
export const fnv1a = (bytes: Uint8Array, length: number): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < length; i++) h = Math.imul(h ^ (bytes[i] ?? 0), 0x01000193)
  return h | 0
}

let scratch = Buffer.alloc(1024)
let scratchLength = 0

/** Puts the key's UTF-8 bytes into the shared scratch buffer, without an object per record. */
const toScratch = (key: string): Uint8Array => {
  if (key.length * 3 > scratch.length) scratch = Buffer.alloc(key.length * 3)
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f) {
      scratchLength = scratch.write(key, 0, "utf8")
      return scratch
    }
    scratch[i] = code
  }
  scratchLength = key.length
  return scratch
}

/** What a topic tells about its partitions. */
export interface PartitionView {
  readonly count: number
  /** False when a keyless record had better go elsewhere: no leader, or its breaker is open. */
  readonly usable: (partition: number) => boolean
  /** True when it had better go elsewhere among the usable ones: it would wait there. None is by default. */
  readonly busy?: (partition: number) => boolean
  /** Bytes sent or waiting there, for `least_bytes`. */
  readonly bytes: (partition: number) => number
}

/** Chooses partitions for one topic. */
export class Partitioner {
  readonly #balancer: Balancer
  #sticky = -1
  #next = 0

  constructor(balancer: Balancer) {
    this.#balancer = balancer
  }

  /** A batch was closed: keyless records of the default balancer move on to another partition. */
  rotate(): void {
    this.#sticky = -1
  }

  choose(key: Uint8Array | string | null | undefined, view: PartitionView): number {
    if (view.count === 1) return 0
    const keyed = key !== null && key !== undefined
    switch (this.#balancer) {
      case "default":
        return keyed ? this.#murmur2(key, view.count) : this.#stick(view)
      case "murmur2":
        return keyed ? this.#murmur2(key, view.count) : this.#random(view)
      case "hash": {
        if (!keyed) return this.#roundRobin(view)
        const bytes = typeof key === "string" ? toScratch(key) : key
        return Math.abs(fnv1a(bytes, typeof key === "string" ? scratchLength : key.length) % view.count)
      }
      case "crc32": {
        if (!keyed || key.length === 0) return this.#random(view)
        return crc32(key) % view.count
      }
      case "round_robin":
        return this.#roundRobin(view)
      case "least_bytes":
        return this.#leastBytes(view)
    }
  }

  #murmur2(key: Uint8Array | string, count: number): number {
    const bytes = typeof key === "string" ? toScratch(key) : key
    return (murmur2(bytes, typeof key === "string" ? scratchLength : key.length) & 0x7fffffff) % count
  }

  #stick(view: PartitionView): number {
    if (this.#sticky < 0 || this.#sticky >= view.count) this.#sticky = this.#random(view)
    return this.#sticky
  }

  #random(view: PartitionView): number {
    return firstFrom(Math.floor(Math.random() * view.count), view)
  }

  #roundRobin(view: PartitionView): number {
    const partition = firstFrom(this.#next % view.count, view)
    this.#next = partition + 1
    return partition
  }

  #leastBytes(view: PartitionView): number {
    let best = -1
    let bestBusy = true
    for (let partition = 0; partition < view.count; partition++) {
      if (!view.usable(partition)) continue
      const busy = view.busy?.(partition) === true
      const better = best < 0 || (busy === bestBusy ? view.bytes(partition) < view.bytes(best) : bestBusy)
      if (!better) continue
      best = partition
      bestBusy = busy
    }
    return best < 0 ? this.#random(view) : best
  }
}

/** The first usable partition from `start` on, a busy one only when all are; `start` when none is usable. */
const firstFrom = (start: number, view: PartitionView): number => {
  let busy = -1
  for (let i = 0; i < view.count; i++) {
    const partition = (start + i) % view.count
    if (!view.usable(partition)) continue
    if (view.busy?.(partition) !== true) return partition
    if (busy < 0) busy = partition
  }
  return busy < 0 ? start : busy
}
