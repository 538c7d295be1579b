import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import * as PlatformaticKafka from "@platformatic/kafka"
import * as Either from "effect/Either"
import fc from "fast-check"
import KafkaJsDecoder from "kafkajs/src/protocol/decoder.js"
import decodeRecordBatch from "kafkajs/src/protocol/recordBatch/v0/decoder.js"
import { readHeader, stamp } from "../../src/internal/batchLayout.ts"
import { murmur2 } from "../../src/internal/partitioner.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import * as Generated from "../support/arbitraries.ts"
import { batchOf, compressed, noise } from "../support/batches.ts"
import { runJavaSource } from "../support/Java.ts"

const codecs: ReadonlyArray<RecordBatch.Compression> = ["gzip", "snappy", "lz4", "zstd"]
const source = fileURLToPath(new URL("./Interop.java", import.meta.url))

const hex = (bytes: Uint8Array | null | undefined): string =>
  bytes === null || bytes === undefined ? "null" : Buffer.from(bytes).toString("hex")

/** One record in the words of Interop.java. */
const describeRecord = (record: RecordBatch.ReadRecord): string =>
  [
    record.offsetDelta,
    record.timestamp,
    hex(record.key),
    hex(record.value),
    ...record.headers.map(([name, value]) => `${hex(Buffer.from(name, "utf8"))}=${hex(value)}`)
  ].join(" ")

const read = (bytes: Uint8Array) => Either.getOrThrow(RecordBatch.records(bytes))

/** The batches every other client has to understand. */
const ours = async (): Promise<ReadonlyArray<Buffer>> => {
  const plain = batchOf([
    { key: "key", value: "ü".repeat(300), timestamp: 1_700_000_000_000 },
    {
      key: null,
      value: null,
      timestamp: 1_600_000_000_000,
      headers: [
        ["a", "1"],
        ["b", null],
        ["c", new Uint8Array()]
      ]
    },
    { key: "", value: "", timestamp: 1_800_000_000_000, id: "given" }
  ])
  // Several blocks, one of them of bytes that do not compress.
  const long = batchOf([
    { value: "one event like the other, ".repeat(5000) },
    { value: noise(1500, 1) },
    ...Array.from({ length: 150 }, (_, index) => ({ value: `{"user":${index * 7919}}` }))
  ])
  const stamped = Buffer.from(plain)
  stamp(stamped, 2n ** 33n, 7, 2 ** 31 - 2)
  const made = fc.sample(fc.array(Generated.record, { minLength: 1, maxLength: 10 }), { numRuns: 60, seed: 1 })
  return [
    plain,
    stamped,
    ...(await Promise.all(codecs.flatMap(codec => [plain, long].map(bytes => compressed(bytes, codec))))),
    RecordBatch.fromRecords(read(plain).slice(1)),
    ...made.map(batchOf)
  ]
}

describe("record batches between clients", () => {
  it("batches of the Java client are read here, and its murmur2 is ours", async () => {
    const { stdout } = await runJavaSource(source, ["write"])
    const lines = stdout.trim().split("\n")
    for (const codec of ["none", ...codecs]) {
      const bytes = Buffer.from(lines.find(line => line.startsWith(`${codec} `))?.slice(codec.length + 1) ?? "", "hex")
      const info = Either.getOrThrow(RecordBatch.info(bytes))
      assert.deepEqual(
        [info.compression, info.count, info.producerId, info.producerEpoch, info.baseSequence, info.length],
        [codec, 4, 77n, 3, 1234, bytes.length]
      )
      const theirs = lines
        .filter(line => line.startsWith(`${codec}-record `))
        .map(line => line.split(" ").slice(1).join(" "))
      assert.equal(theirs.length, 4)
      assert.deepEqual(read(bytes).map(describeRecord), theirs)
    }
    const hashes = lines.filter(line => line.startsWith("murmur2 "))
    assert.equal(hashes.length, 200)
    for (const line of hashes) {
      const [, text = "", hash] = line.split(" ")
      const key = Buffer.from(text, "hex")
      assert.equal(murmur2(key, key.length), Number(hash), text)
    }
  })

  it("batches made here are valid to the Java client, record by record", async () => {
    const batches = await ours()
    const { stdout } = await runJavaSource(source, ["read", batches.map(bytes => bytes.toString("hex")).join("\n")])
    const expected = batches.flatMap(bytes => {
      const info = Either.getOrThrow(RecordBatch.info(bytes))
      const records = read(bytes)
      const { compression, count, maxTimestamp, producerEpoch, producerId, baseSequence } = info
      return [
        `batch 2 ${count} ${compression} ${maxTimestamp} ${producerId} ${producerEpoch} ${baseSequence} ${count - 1}`,
        ...records.map(record => `record ${describeRecord(record)}`)
      ]
    })
    assert.deepEqual(stdout.trim().split("\n"), expected)
  })

  it("batches made here are read by kafkajs", async () => {
    for (const bytes of (await ours()).filter(one => (readHeader(one).attributes & 7) < 2)) {
      const decoded = await decodeRecordBatch(new KafkaJsDecoder(bytes))
      const records = read(bytes)
      assert.deepEqual(
        decoded.records.map(({ key, timestamp, value }) => [timestamp, hex(key), hex(value)]),
        records.map(({ key, timestamp, value }) => [String(timestamp), hex(key), hex(value)])
      )
    }
  })

  it("batches made here are read by @platformatic/kafka", async () => {
    for (const bytes of await ours()) {
      const decoded = PlatformaticKafka.readRecordsBatch(PlatformaticKafka.Reader.from(Buffer.from(bytes)))
      assert.deepEqual(
        decoded.records.map(({ headers, key, offsetDelta, timestampDelta, value }) =>
          [
            offsetDelta,
            decoded.firstTimestamp + timestampDelta,
            hex(key),
            hex(value),
            ...headers.map(([name, header]) => `${hex(name)}=${hex(header)}`)
          ].join(" ")
        ),
        read(bytes).map(describeRecord)
      )
    }
  })
})
