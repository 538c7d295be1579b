/** The Java client, measured by Kafka's own tool. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { deleteDirectory, temporaryDirectory } from "../test/support/Guard.ts"
import { runKafkaTool } from "../test/support/Java.ts"
import { events } from "./events.ts"
import type { Job, Measured } from "./window.ts"

/** Records per second the run is planned for, so that it takes about as long as the others' warm-up and window. */
const expected = ({ brokers, size }: Job): number => {
  const one = size <= 200 ? 450_000 : size <= 1000 ? 180_000 : 20_000
  return brokers.length === 1 ? one : one / 4
}

const settings = ["acks=all", "batch.size=262144", "linger.ms=5", "buffer.memory=134217728", "client.id=bench"]

export const runJava = async (job: Job): Promise<Measured> => {
  const directory = temporaryDirectory("bench-java")
  try {
    const payload = join(directory, "events.txt")
    writeFileSync(payload, events(job.size, job.compression).join("\n"))
    const records = Math.round((expected(job) * (job.warmUpMs + job.measureMs)) / 1000)
    const { stdout } = await runKafkaTool(
      "org.apache.kafka.tools.ProducerPerformance",
      [
        ...["--topic", job.topic, "--num-records", String(records), "--throughput", "-1", "--payload-file", payload],
        ...["--producer-props", `bootstrap.servers=${job.brokers.join(",")}`, ...settings],
        ...[`compression.type=${job.compression ?? "none"}`, "--print-metrics"]
      ],
      { jvm: ["-Xms512m", "-Xmx512m"] }
    )
    const summary = stdout.split("\n").findLast(line => / records sent.* 99\.9th/.test(line)) ?? ""
    const sent = Number(/^(\d+) records sent/.exec(summary)?.[1])
    const rate = Number(/([\d.]+) records\/sec/.exec(summary)?.[1])
    if (sent !== records || !Number.isFinite(rate)) throw new Error(`ProducerPerformance said: ${stdout.slice(-500)}`)
    // Its own metrics come last: bytes of requests of the whole run.
    const bytes = Number(/producer-metrics:outgoing-byte-total:.*: ([\d.]+)/.exec(stdout)?.[1])
    return { recordsPerSecond: rate, wireBytesPerRecord: bytes / records }
  } finally {
    deleteDirectory(directory)
  }
}
