/** One measurement in a process of its own: `contender.ts '<job as JSON>'` prints what it measured as JSON. */
import { floorRows, runFloorRow } from "./floors.ts"
import { runFranzGo } from "./franzGo.ts"
import { runHttp } from "./httpLoad.ts"
import { runJava } from "./java.ts"
import { withKafkaJs } from "./kafkajs.ts"
import { runLatency } from "./latency.ts"
import { pipelineRows, runPipelineRow } from "./pipeline.ts"
import { withPlatformatic } from "./platformatic.ts"
import { runArrays } from "./senders.ts"
import { runSpillwayRow, spillwayRows } from "./spillwayRows.ts"
import { runStatic } from "./staticBytes.ts"
import type { Job, Measured } from "./window.ts"

const run = (job: Job): Promise<Measured> => {
  // `keyed-96`: the row and its topic's partitions.
  const spillway = spillwayRows.find(row => row === job.name.split("-")[0])
  if (spillway !== undefined) return runSpillwayRow(spillway, job)
  const pipeline = pipelineRows.find(row => row === job.name)
  if (pipeline !== undefined) return runPipelineRow(pipeline, job)
  const floor = floorRows.find(row => row === job.name)
  if (floor !== undefined) return runFloorRow(floor, job)
  if (job.name.startsWith("latency-")) return runLatency(job)
  // `franz-go-zstd`: the client and how it compresses.
  switch (job.name.replace(/-(gzip|snappy|lz4|zstd)$/, "")) {
    case "kafkajs":
      return runArrays(job, withKafkaJs)
    case "platformatic":
      return runArrays(job, withPlatformatic)
    case "franz-go":
      return runFranzGo(job)
    case "static":
      return runStatic(job)
    case "java":
      return runJava(job)
    case "http":
    case "http-256":
    case "http-benthos":
    case "http-ndjson":
    case "http-echo":
    case "http-echo-256":
      return runHttp(job)
    default:
      throw new Error(`no contender is called ${job.name}`)
  }
}

const job: Job = JSON.parse(process.argv[2] ?? "{}")
console.log(JSON.stringify(await run(job)))
process.exit(0)
