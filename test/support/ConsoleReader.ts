/**
 * Reads a whole topic with Kafka's own ConsoleConsumer, in a process of its own: no code of ours or kafkajs's decodes
 * what it reports.
 *
 * Keys, values and header values pass its BytesDeserializer, which prints bytes outside printable ASCII, and the
 * backslash, as `\xHH` (`org.apache.kafka.common.utils.Bytes.toString`), so nothing is lost in the text.
 */
import { randomUUID } from "node:crypto"
import { runKafkaTool } from "./Java.ts"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { byPosition, type StoredRecord } from "./StoredRecord.ts"

const bytesDeserializer = "org.apache.kafka.common.serialization.BytesDeserializer"
const headerSeparator = "\u0001"

const unescape = (text: string): Uint8Array =>
  Buffer.from(
    text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1"
  )

const field = (text: string, label: string): string => {
  if (!text.startsWith(`${label}:`)) throw new Error(`ConsoleConsumer printed "${text}" where ${label} was expected`)
  return text.slice(label.length + 1)
}

const parse = (line: string, nothing: string): StoredRecord => {
  const parts = line.split("\t")
  const [time = "", partition = "", offset = "", headers = "", key = "", value = ""] = parts
  if (parts.length !== 6) throw new Error(`ConsoleConsumer printed a line of ${parts.length} fields: ${line}`)
  const bytes = (text: string): Uint8Array | null => (text === nothing ? null : unescape(text))
  return {
    timestamp: Number(time.slice(time.indexOf(":") + 1)),
    partition: Number(field(partition, "Partition")),
    offset: BigInt(field(offset, "Offset")),
    headers:
      headers === "NO_HEADERS"
        ? []
        : headers.split(headerSeparator).map(header => {
            const colon = header.indexOf(":")
            const name = Buffer.from(header.slice(0, colon), "latin1").toString("utf8")
            return [name, bytes(header.slice(colon + 1))] as const
          }),
    key: bytes(key),
    value: bytes(value)
  }
}

/**
 * All records of the topic by partition and offset. Fails when fewer than the end offsets promise arrive before
 * `idleMs` (10 000) without a record. Header names must not contain a colon, a tab or a line break.
 */
export const readAllWithConsoleConsumer = async (
  cluster: KafkaCluster,
  topic: string,
  options: { readonly idleMs?: number; readonly deadlineMs?: number } = {}
): Promise<ReadonlyArray<StoredRecord>> => {
  const expected = (await cluster.offsets(topic)).reduce((sum, { high, low }) => sum + high - low, 0n)
  if (expected === 0n) return []
  // No record can hold it: it is new.
  const nothing = `nothing-${randomUUID()}`
  const formatting = {
    "print.timestamp": "true",
    "print.partition": "true",
    "print.offset": "true",
    "print.headers": "true",
    "print.key": "true",
    "print.value": "true",
    "key.separator": "\t",
    "line.separator": "\n",
    "headers.separator": headerSeparator,
    "null.literal": nothing,
    "key.deserializer": bytesDeserializer,
    "value.deserializer": bytesDeserializer,
    "headers.deserializer": bytesDeserializer
  }
  const live = cluster.brokers.filter(broker => broker.live).map(({ address }) => address)
  const args = ["--bootstrap-server", live.join(","), "--topic", topic, "--from-beginning"]
  const bounds = ["--max-messages", String(expected), "--timeout-ms", String(options.idleMs ?? 10_000)]
  const properties = Object.entries(formatting).flatMap(([name, value]) => ["--property", `${name}=${value}`])

  const records: Array<StoredRecord> = []
  let rest = ""
  const { stderr } = await runKafkaTool(
    "org.apache.kafka.tools.consumer.ConsoleConsumer",
    [...args, ...bounds, ...properties],
    {
      deadlineMs: options.deadlineMs ?? 120_000,
      onStdout: chunk => {
        const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) records.push(parse(line, nothing))
      }
    }
  )
  if (BigInt(records.length) < expected) {
    throw new Error(`${topic}: ConsoleConsumer read ${records.length} of ${expected} records\n${stderr.slice(-1_000)}`)
  }
  return records.sort(byPosition)
}
