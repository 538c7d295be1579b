/**
 * What several workers of one service tell, put together: one page of metrics, one readiness.
 */
import type { Health } from "../Health.ts"
import type { Family, Labels } from "../Metrics.ts"

/** What one worker tells of itself. */
export interface Report {
  readonly health: Health
  readonly families: ReadonlyArray<Family>
}

/** A worker as the process above it sees it. */
export interface WorkerReport {
  readonly worker: number
  /** Times it was started anew. */
  readonly restarts: number
  /** Undefined: it is not there, or does not answer. */
  readonly report: Report | undefined
}

const labelled = (worker: number, labels: Labels): Labels => ({ ...labels, worker: String(worker) })

/**
 * Each worker's series, told apart by a label: a sum made here would fall when a worker is started anew, which Prometheus
 * takes for a restart of them all.
 */
export const familiesOf = (workers: ReadonlyArray<WorkerReport>): ReadonlyArray<Family> => {
  const merged = new Map<string, Family>()
  for (const { report, worker } of workers) {
    for (const family of report?.families ?? []) {
      const known = merged.get(family.name)
      if (family.type === "histogram") {
        const samples = family.samples.map(([labels, value]) => [labelled(worker, labels), value] as const)
        merged.set(family.name, {
          ...family,
          samples: known?.type === "histogram" ? [...known.samples, ...samples] : samples
        })
      } else {
        const samples = family.samples.map(([labels, value]) => [labelled(worker, labels), value] as const)
        const before = known === undefined || known.type === "histogram" ? [] : known.samples
        merged.set(family.name, { ...family, samples: [...before, ...samples] })
      }
    }
  }
  const each = (read: (one: WorkerReport) => number) =>
    workers.map(one => [{ worker: String(one.worker) }, read(one)] as const)
  return [
    ...merged.values(),
    {
      name: "spillway_worker_up",
      type: "gauge",
      help: "1 while the worker answers the process above it.",
      samples: each(({ report }) => (report === undefined ? 0 : 1))
    },
    {
      name: "spillway_worker_restarts_total",
      type: "counter",
      help: "Times the worker was started anew.",
      samples: each(({ restarts }) => restarts)
    }
  ]
}

/**
 * One readiness for the port they share: the system gives a connection to any worker that listens. Accepting when all are;
 * refusing when none takes records.
 */
export const healthOf = (workers: ReadonlyArray<WorkerReport>): Health => {
  const all = workers.map(({ report }) => report?.health.readiness ?? "refusing")
  const readiness = all.every(one => one === "accepting")
    ? "accepting"
    : all.every(one => one === "refusing")
      ? "refusing"
      : "degraded"
  const reasons = workers.flatMap(({ report, worker }) =>
    (report?.health.reasons ?? ["not there"]).map(reason => `worker ${worker}: ${reason}`)
  )
  return { readiness, reasons }
}
