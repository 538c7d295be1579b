/**
 * What the configuration says of the time there is at the end, and of the last resort. What breaks outright is refused
 * when it is read.
 */
import type { AppConfig } from "../../AppConfig.ts"
import { fallbackBudgetMs, longestOutcomeMs } from "../config/model.ts"
import { formatDuration } from "../config/units.ts"
import type { DiskEvidence, Look } from "./evidence.ts"
import { type Result, Results } from "./result.ts"

/** Less than this between the last deadline and the end of the budget is worth a warning, ms. */
const marginMs = 1000
/** What platforms give by default: Kubernetes' terminationGracePeriodSeconds, and ECS's stopTimeout, ms. */
const platformMs = 30_000

const inMemory: ReadonlySet<string> = new Set(["tmpfs", "ramfs", "devtmpfs"])
const ofContainer: ReadonlySet<string> = new Set(["overlay", "aufs"])

export const configRules = (config: AppConfig, disk: Look<DiskEvidence> | undefined): ReadonlyArray<Result> => [
  ...fallbacks(config),
  ...visibility(config),
  ...deadlines(config),
  ...(config.spool === undefined || disk === undefined ? [] : spool(config.spool.path, config.spool.maxBytes, disk))
]

const fallbacks = (config: AppConfig): ReadonlyArray<Result> =>
  Object.values(config.producers).flatMap(({ name, retry }) => {
    const results = new Results(`producer ${name}`)
    if (retry.enabled) results.ok("fallback", `diverts to ${retry.queueId}`)
    else results.warning("fallback", "retry is off", `set stream.producer.${name}.retry.enabled: true and queue_id`)
    return results.list
  })

/** See `hold` in `internal/visibility`. */
const visibility = (config: AppConfig): ReadonlyArray<Result> =>
  Object.values(config.producers).flatMap(({ name, retry }) => {
    const client = config.sqsClients[retry.clientName]
    if (!retry.enabled || client === undefined) return []
    const results = new Results(`producer ${name}`)
    const half = retry.visibilityTimeoutMs / 2
    const request = formatDuration(client.requestTimeoutMs)
    const what = `visibility_timeout is ${formatDuration(retry.visibilityTimeoutMs)}, prolonged after half of it by a call that may take ${request}`
    const fix = `raise stream.producer.${name}.retry.visibility_timeout, or lower request_timeout of the SQS client ${client.name}`
    if (half <= client.requestTimeoutMs) results.warning("visibility-timeout", what, fix)
    else results.ok("visibility-timeout", what)
    return results.list
  })

const deadlines = (config: AppConfig): ReadonlyArray<Result> => {
  const results = new Results("shutdown")
  const budget = config.shutdown.budgetMs
  const format = formatDuration(budget)
  for (const { output: outputName, name, retry } of Object.values(config.producers)) {
    const output = config.outputs[outputName]
    if (output === undefined || !retry.enabled) continue
    const client = config.sqsClients[retry.clientName]
    const storing = config.spool?.queueTimeoutMs ?? client?.requestTimeoutMs ?? fallbackBudgetMs
    const left = budget - output.writeTimeoutMs - storing
    const chain = `write_timeout ${formatDuration(output.writeTimeoutMs)} and then ${formatDuration(storing)} for the queue, of shutdown.budget ${format}`
    const answer = `a caller waits at most ${formatDuration(longestOutcomeMs(output, config))} (http.request_timeout ${formatDuration(config.http.requestTimeoutMs)})`
    const what = `producer ${name}: ${chain}: ${formatDuration(Math.max(0, left))} to spare; ${answer}`
    if (left < marginMs) results.warning("deadline-margins", what, "raise shutdown.budget, or lower write_timeout")
    else results.ok("deadline-margins", what)
  }
  if (budget >= platformMs) {
    const what = `shutdown.budget is ${format}, and platforms kill after ${formatDuration(platformMs)} unless told otherwise`
    const fix = `make the platform wait longer than ${format} (terminationGracePeriodSeconds, stopTimeout, TimeoutStopSec), or lower the budget`
    results.warning("kill-timeout", what, fix)
  } else results.ok("kill-timeout", `the platform must wait longer than shutdown.budget, ${format}`)
  return results.list
}

const spool = (path: string, maxBytes: number, disk: Look<DiskEvidence>): ReadonlyArray<Result> => {
  const results = new Results(`spool ${path}`)
  const found = results.value(disk, ["spool-disk"], "the spool's disk")
  if (found === undefined) return results.list
  const { device, fileSystem, freeBytes, model } = found
  const fix = "put spool.path on a volume that outlives the instance and is attached again"
  if (inMemory.has(fileSystem)) results.error("spool-disk", `it is in memory (${fileSystem})`, fix)
  else if (ofContainer.has(fileSystem)) {
    results.warning(
      "spool-disk",
      `it is in the container's own layer (${fileSystem}), which goes with the container`,
      fix
    )
  } else if (/instance storage/i.test(model)) {
    results.warning("spool-disk", `${device} is a disk of the instance (${model}), which goes with it`, fix)
  } else if (freeBytes < maxBytes) {
    const what = `${Math.floor(freeBytes / 2 ** 20)} MiB are free on ${device}, and spool.max_bytes is ${Math.floor(maxBytes / 2 ** 20)} MiB`
    results.warning("spool-disk", what, "make room, or lower spool.max_bytes")
  } else results.ok("spool-disk", `${device} (${fileSystem})`)
  return results.list
}
