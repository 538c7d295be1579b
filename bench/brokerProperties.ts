/** Of a broker that is measured. */
export const brokerProperties = (keptBytes = 64 * 1024 * 1024): Readonly<Record<string, string>> => ({
  // What was measured is thrown away at once: at 300 MB/s a disk is soon full.
  "log.retention.bytes": String(keptBytes),
  "log.segment.bytes": String(keptBytes),
  "log.retention.check.interval.ms": "2000",
  "log.segment.delete.delay.ms": "1000",
  // By default each of twice 768 index files is 10 MiB of holes, and the kernel reads and clears far more of them at the first
  // record than that needs: a new topic's brokers would do nothing else.
  "log.index.size.max.bytes": String(64 * 1024)
})
