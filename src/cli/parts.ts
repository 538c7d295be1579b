/**
 * Less than all that a configuration describes, for processes that do only a part of it.
 */
import type { AppConfig } from "../AppConfig.ts"
import { spoolPathOf } from "./workers/spoolPath.ts"

/** Diverts, and leaves the queues to other instances. */
export const withoutReplay = (config: AppConfig): AppConfig => ({
  ...config,
  producers: Object.fromEntries(
    Object.entries(config.producers).map(([name, producer]) => [
      name,
      { ...producer, retry: { ...producer.retry, runnerCount: 0 } }
    ])
  )
})

/** Leaves the file to the service beside it: a spool has one owner, who must not find it locked. */
export const withoutSpool = (config: AppConfig): AppConfig => ({ ...config, spool: undefined })

/** What is of one process only is the worker's own. */
export const ofWorker = (config: AppConfig, worker: number): AppConfig => ({
  ...config,
  spool: config.spool && { ...config.spool, path: spoolPathOf(config.spool.path, worker) }
})
