import assert from "node:assert/strict"
import { it } from "node:test"
import type { Readiness } from "../../src/Health.ts"
import { prometheusText } from "../../src/internal/prometheusText.ts"
import { familiesOf, healthOf, type WorkerReport } from "../../src/internal/workerReports.ts"

const worker = (number: number, readiness: Readiness, accepted: number): WorkerReport => ({
  worker: number,
  restarts: number,
  report: {
    health: { readiness, reasons: readiness === "accepting" ? [] : ["why"] },
    families: [
      { name: "accepted_total", type: "counter", help: "A.", samples: [[{}, accepted]] },
      {
        name: "seconds",
        type: "histogram",
        help: "B.",
        samples: [
          [
            { outcome: "delivered" },
            { buckets: [[1000, accepted]], count: accepted, sum: 2000, p50: 1, p99: 1, max: 1 }
          ]
        ]
      }
    ]
  }
})
const gone: WorkerReport = { worker: 2, restarts: 5, report: undefined }

it("each worker's series are told apart by a label, under one head for each metric", () => {
  const text = prometheusText(familiesOf([worker(0, "accepting", 3), worker(1, "accepting", 4), gone]))
  assert.deepEqual(text.trimEnd().split("\n"), [
    "# HELP accepted_total A.",
    "# TYPE accepted_total counter",
    'accepted_total{worker="0"} 3',
    'accepted_total{worker="1"} 4',
    "# HELP seconds B.",
    "# TYPE seconds histogram",
    ...[3, 4].flatMap((count, index) => [
      `seconds_bucket{outcome="delivered",worker="${index}",le="1"} ${count}`,
      `seconds_bucket{outcome="delivered",worker="${index}",le="+Inf"} ${count}`,
      `seconds_sum{outcome="delivered",worker="${index}"} 2`,
      `seconds_count{outcome="delivered",worker="${index}"} ${count}`
    ]),
    "# HELP spillway_worker_up 1 while the worker answers the process above it.",
    "# TYPE spillway_worker_up gauge",
    'spillway_worker_up{worker="0"} 1',
    'spillway_worker_up{worker="1"} 1',
    'spillway_worker_up{worker="2"} 0',
    "# HELP spillway_worker_restarts_total Times the worker was started anew.",
    "# TYPE spillway_worker_restarts_total counter",
    'spillway_worker_restarts_total{worker="0"} 0',
    'spillway_worker_restarts_total{worker="1"} 1',
    'spillway_worker_restarts_total{worker="2"} 5'
  ])
})

it("the port accepts when all do, refuses when none takes records, and is degraded in between", () => {
  const accepting = worker(0, "accepting", 0)
  assert.deepEqual(healthOf([accepting, worker(1, "accepting", 0)]), { readiness: "accepting", reasons: [] })
  assert.deepEqual(healthOf([accepting, worker(1, "degraded", 0)]), {
    readiness: "degraded",
    reasons: ["worker 1: why"]
  })
  assert.deepEqual(healthOf([accepting, worker(1, "refusing", 0)]).readiness, "degraded")
  assert.deepEqual(healthOf([accepting, gone]), { readiness: "degraded", reasons: ["worker 2: not there"] })
  assert.deepEqual(healthOf([worker(1, "refusing", 0), gone]).readiness, "refusing")
})
