import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, it } from "node:test"
import { serving } from "../http/serving.ts"
import { eventually } from "../support/eventually.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import { freePort } from "../support/ports.ts"
import { ServerProcess } from "../support/ServerProcess.ts"

/** OpenTelemetry's own collector, any distribution; the tests bring none. */
const program = ["otelcol", "otelcol-contrib"].find(name => spawnSync(name, ["--version"]).status === 0)
const skip = program === undefined ? "there is no otelcol on the PATH" : false

const directory = temporaryDirectory("collector")
const log = join(directory, "collector.log")
after(() => deleteDirectory(directory))

it("OpenTelemetry's collector takes what is exported, and reads from it what was meant", { skip }, async () => {
  const port = await freePort()
  const file = join(directory, "collector.yaml")
  writeFileSync(
    file,
    `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { debug: { verbosity: detailed } }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    traces: { receivers: [otlp], exporters: [debug] }
    metrics: { receivers: [otlp], exporters: [debug] }
`
  )
  const collector = new ServerProcess("collector", log, async () => ({
    file: program ?? "",
    args: ["--config", `file:${file}`]
  }))
  await collector.start()
  try {
    await eventually("the collector", 20_000, () =>
      /Everything is ready/.test(readFileSync(log, "utf8")) ? true : undefined
    )
    const more = `telemetry: { otlp: { endpoint: "http://127.0.0.1:${port}", interval: 1h } }`
    const said = async (what: RegExp) =>
      eventually(String(what), 10_000, () => (what.test(readFileSync(log, "utf8")) ? true : undefined))
    await serving({ more }, async ({ post }) => {
      const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      assert.equal((await post("1", { traceparent, tracestate: "vendor=1" })).status, 201)
    })
    // Told at the end of the runtime.
    await said(
      /Trace ID {7}: 4bf92f3577b34da6a3ce929d0e0e4736\n.*\n.*\n +Name +: send events\n +Kind +: Producer\n +TraceState +: vendor=1/
    )
    await said(
      /Name: spillway_accepted_records_total\n(?:.*\n){3,5}.*AggregationTemporality: Cumulative\n(?:.*\n){1,4}?.*Value: 1\.0/
    )
    await said(/Name: spillway_publish_duration_seconds\n(?:.*\n){1,3}.*DataType: Histogram/)
  } finally {
    await collector.kill()
  }
})
