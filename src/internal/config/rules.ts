/**
 * What must hold between the entries of a configuration. Each rule is skipped where a value it needs was refused
 * already, so that one mistake is reported once. What breaks one rule is held against every other all the same.
 */
import { access } from "./access.ts"
import { clientPath, connectionPath, outputPath, producerPath, s3ClientPath } from "./assemble.ts"
import type { Report } from "./field.ts"
import { didYouMean, issueAt } from "./issue.ts"
import { type AppConfig, longestOutcomeMs, type OutputConfig, type ProducerConfig } from "./model.ts"
import { sameQueue } from "./queue.ts"
import { locate, type Node, type Path } from "./tree.ts"
import { formatDuration, formatSize } from "./units.ts"

interface More {
  readonly suggestion?: string | undefined
  /** Of several such faults of a path the first says it all. */
  readonly once?: boolean
}

type Say = (path: Path, message: string, more?: More) => void

/** Reports every rule that `config` breaks. */
export const check = (config: AppConfig, root: Node, report: Report): void => {
  const told = new Set<string>()
  const say: Say = (path, message, more) => {
    const suggestion = more?.suggestion === undefined ? {} : { suggestion: more.suggestion }
    const key = path.join("\0")
    if (more?.once && told.has(key)) return
    if (more?.once) told.add(key)
    report.issues.push(issueAt(locate(root, path), path, { message, ...suggestion }))
  }
  const good = (...paths: ReadonlyArray<Path>): boolean => paths.every(path => !report.isBad(path))
  producers(config, say, good)
  outputs(config, say, good)
  deadlines(config, say, good)
  spooled(config, say, good)
  services(config, say, good)
  access(config.http, say, good)
}

type Good = (...paths: ReadonlyArray<Path>) => boolean

const get = <A>(from: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(from, name) ? from[name] : undefined

const unknownName = (name: string, known: Readonly<Record<string, unknown>>, where: Path): string => {
  const names = Object.keys(known)
  const rest = names.length === 0 ? "none is defined" : `known are ${names.join(", ")}`
  return `there is no ${where.join(".")}.${name}: ${rest}`
}

const producers = (config: AppConfig, say: Say, good: Good): void => {
  if (Object.keys(config.producers).length === 0 && good(producerPath)) {
    say(producerPath, "there is no producer: at least one is needed, under stream.producer.<name>")
  }
  const byTopic = new Map<string, string>()
  for (const { name, output: outputName, retry } of Object.values(config.producers)) {
    const path = [...producerPath, name]
    const output = get(config.outputs, outputName)
    if (output === undefined) {
      if (good([...path, "output"], [...outputPath, outputName])) {
        const suggestion = didYouMean(outputName, Object.keys(config.outputs))
        say([...path, "output"], unknownName(outputName, config.outputs, outputPath), { suggestion })
      }
    } else if (good([...path, "output"], [...outputPath, outputName, "topic"])) {
      const twin = byTopic.get(output.topic)
      if (twin === undefined) byTopic.set(output.topic, name)
      else
        say([...path, "output"], `producer ${twin} writes to topic ${output.topic} already: a topic has one producer`)
    }
    if (!retry.enabled) continue
    const at = (key: string): Path => [...path, "retry", key]
    if (
      get(config.sqsClients, retry.clientName) === undefined &&
      good(at("client_name"), [...clientPath, retry.clientName])
    ) {
      const suggestion = didYouMean(retry.clientName, Object.keys(config.sqsClients))
      say(at("client_name"), unknownName(retry.clientName, config.sqsClients, clientPath), { suggestion })
    }
    const { claimCheck } = retry
    const claimAt: Path = [...path, "retry", "claim_check", "client_name"]
    if (
      claimCheck !== undefined &&
      get(config.s3Clients, claimCheck.clientName) === undefined &&
      good(claimAt, [...s3ClientPath, claimCheck.clientName])
    ) {
      const suggestion = didYouMean(claimCheck.clientName, Object.keys(config.s3Clients))
      say(claimAt, unknownName(claimCheck.clientName, config.s3Clients, s3ClientPath), { suggestion })
    }
    if (
      good(at("queue_id"), at("dead_letter_queue_id")) &&
      retry.queueId !== "" &&
      sameQueue(retry.queueId, retry.deadLetterQueueId)
    ) {
      say(at("dead_letter_queue_id"), "is the queue of queue_id: dead letters need a queue of their own")
    }
    sharedQueue(config, name, say, good)
    if (!good(at("visibility_timeout"))) continue
    if (retry.visibilityTimeoutMs % 1000 !== 0) {
      say(at("visibility_timeout"), `SQS counts whole seconds, found ${formatDuration(retry.visibilityTimeoutMs)}`)
    }
    if (output !== undefined && good([...outputPath, outputName, "write_timeout"])) {
      const write = output.writeTimeoutMs
      if (retry.visibilityTimeoutMs <= write) {
        const message = `must be longer than write_timeout of output ${outputName} (${formatDuration(write)}), found ${formatDuration(retry.visibilityTimeoutMs)}: a message would be received again while its records are on their way`
        say(at("visibility_timeout"), message)
      }
    }
  }
}

/**
 * Whoever receives a message replays it through its own connection: records of another one's would end in the wrong
 * cluster. And what lies in a dead-letter queue is not to be replayed.
 */
const sharedQueue = (config: AppConfig, name: string, say: Say, good: Good): void => {
  const one = config.producers[name]
  if (one === undefined || !one.retry.enabled) return
  const path = (producer: string, key: string): Path => [...producerPath, producer, "retry", key]
  const { clientName, queueId } = one.retry
  if (queueId === "" || !good(path(name, "queue_id"))) return
  const connection = get(config.outputs, one.output)?.connection
  for (const other of Object.values(config.producers)) {
    if (other.name === name || !other.retry.enabled || other.retry.clientName !== clientName) continue
    if (good(path(other.name, "dead_letter_queue_id")) && sameQueue(queueId, other.retry.deadLetterQueueId)) {
      const message = `is the dead-letter queue of producer ${other.name}: what lies there would be replayed`
      say(path(name, "queue_id"), message)
    }
    // Reported once, at the second of the two.
    if (Object.keys(config.producers).indexOf(other.name) > Object.keys(config.producers).indexOf(name)) continue
    const elsewhere = get(config.outputs, other.output)?.connection
    if (connection === undefined || elsewhere === undefined || connection === elsewhere) continue
    if (!good(path(other.name, "queue_id")) || !sameQueue(queueId, other.retry.queueId)) continue
    const message = `is the queue of producer ${other.name}, whose Kafka connection is ${elsewhere}: each would replay the other's records into its own cluster`
    say(path(name, "queue_id"), message)
  }
}

const outputs = (config: AppConfig, say: Say, good: Good): void => {
  for (const output of Object.values(config.outputs)) {
    const at = (key: string): Path => [...outputPath, output.name, key]
    const connection = get(config.kafkaConnections, output.connection)
    if (connection === undefined) {
      if (good(at("connection"), [...connectionPath, output.connection])) {
        const suggestion = didYouMean(output.connection, Object.keys(config.kafkaConnections))
        say(at("connection"), unknownName(output.connection, config.kafkaConnections, connectionPath), { suggestion })
      }
    } else if (connection.idempotent && output.maxInFlight > 5 && good(at("max_in_flight"))) {
      const message = `at most 5 on an idempotent connection (KIP-98), found ${output.maxInFlight}`
      say(at("max_in_flight"), message, { suggestion: `or set idempotent: false on connection ${connection.name}` })
    }
    if ((output.topic === "." || output.topic === "..") && good(at("topic")))
      say(at("topic"), "Kafka allows no such name")
    room(output, config, at, say, good)
  }
}

const room = (output: OutputConfig, config: AppConfig, at: (key: string) => Path, say: Say, good: Good): void => {
  const limit: Path = ["buffer", "max_bytes"]
  for (const [key, bytes] of [
    ["max_record_bytes", output.maxRecordBytes],
    ["batch_bytes", output.batchBytes]
  ] as const) {
    if (bytes > config.buffer.maxBytes && good(at(key), limit)) {
      say(at(key), `must fit buffer.max_bytes (${formatSize(config.buffer.maxBytes)}), found ${formatSize(bytes)}`)
    }
  }
}

/** Deadlines nest: a batch waits less than an attempt may take, an attempt and a diversion end before the shutdown does. */
const deadlines = (config: AppConfig, say: Say, good: Good): void => {
  const budget = config.shutdown.budgetMs
  const budgetPath: Path = ["shutdown", "budget"]
  const slowest = Object.values(config.outputs).sort(
    (a, b) => longestOutcomeMs(b, config) - longestOutcomeMs(a, config)
  )
  for (const output of slowest) {
    const idle: Path = [...outputPath, output.name, "idle_timeout"]
    const write: Path = [...outputPath, output.name, "write_timeout"]
    const found = formatDuration(output.writeTimeoutMs)
    if (output.idleTimeoutMs > output.writeTimeoutMs && good(idle, write)) {
      say(idle, `must not be longer than write_timeout (${found}), found ${formatDuration(output.idleTimeoutMs)}`)
    }
    if (output.writeTimeoutMs >= budget && good(write, budgetPath)) {
      say(write, `must be shorter than shutdown.budget (${formatDuration(budget)}), found ${found}`)
    }
    const { spool } = config
    const spoolPath: Path = ["spool", "queue_timeout"]
    if (spool !== undefined && output.writeTimeoutMs < budget && good(write, budgetPath, spoolPath)) {
      const needed = output.writeTimeoutMs + spool.queueTimeoutMs
      if (needed >= budget) {
        const message = `with write_timeout of output ${output.name} (${found}) it must fit shutdown.budget (${formatDuration(budget)}), or the last records could not be spooled; found ${formatDuration(spool.queueTimeoutMs)}`
        say(spoolPath, message, { once: true })
      }
    }
    const longest = longestOutcomeMs(output, config)
    const request: Path = ["http", "request_timeout"]
    const waits = Object.values(config.producers)
      .filter(({ output: name, retry }) => name === output.name && (retry.backlog?.maxWaitMs ?? 0) > 0)
      .map(({ name }): Path => [...producerPath, name, "retry", "backlog"])
    const parts = [write, request, ["buffer", "max_wait"], spoolPath, ...waits, ...waits.map(at => [...at, "max_wait"])]
    if (config.http.requestTimeoutMs <= longest && good(...parts)) {
      const room = waits.length === 0 ? "" : ", the backlog's max_wait"
      const need = `buffer.max_wait, write_timeout of output ${output.name}${room} and the fallback's budget together (${formatDuration(longest)})`
      say(request, `must be longer than ${need}, found ${formatDuration(config.http.requestTimeoutMs)}`, { once: true })
    }
  }
  const wait: Path = ["buffer", "max_wait"]
  if (config.buffer.maxWaitMs >= budget && good(wait, budgetPath)) {
    const found = formatDuration(config.buffer.maxWaitMs)
    say(wait, `must be shorter than shutdown.budget (${formatDuration(budget)}), found ${found}`)
  }
  const writeMs = ({ output }: ProducerConfig): number => get(config.outputs, output)?.writeTimeoutMs ?? 0
  for (const producer of Object.values(config.producers).sort((a, b) => writeMs(b) - writeMs(a))) {
    const { name, output: outputName, retry } = producer
    const client = get(config.sqsClients, retry.clientName)
    const output = get(config.outputs, outputName)
    if (!retry.enabled || client === undefined || output === undefined || output.writeTimeoutMs >= budget) continue
    const request: Path = [...clientPath, client.name, "request_timeout"]
    const needed = output.writeTimeoutMs + client.requestTimeoutMs
    if (needed < budget || !good(request, [...outputPath, outputName, "write_timeout"], budgetPath)) continue
    const message = `with write_timeout of producer ${name} (${formatDuration(output.writeTimeoutMs)}) it must fit shutdown.budget (${formatDuration(budget)}), or the last records could not be diverted; found ${formatDuration(client.requestTimeoutMs)}`
    say(request, message, { once: true })
  }
  for (const [from, all] of [
    [connectionPath, config.kafkaConnections],
    [clientPath, config.sqsClients],
    [s3ClientPath, config.s3Clients]
  ] as const) {
    for (const { name, connectionTimeoutMs, requestTimeoutMs } of Object.values(all)) {
      const path: Path = [...from, name, "connection_timeout"]
      if (connectionTimeoutMs <= requestTimeoutMs || !good(path, [...from, name, "request_timeout"])) continue
      const found = formatDuration(connectionTimeoutMs)
      say(path, `must not be longer than request_timeout (${formatDuration(requestTimeoutMs)}), found ${found}`)
    }
  }
}

/** What is not diverted is not spooled either, and a topic without a fallback queue is not drained. */
const spooled = (config: AppConfig, say: Say, good: Good): void => {
  const producers = Object.values(config.producers)
  if (config.spool === undefined || producers.length === 0 || producers.some(({ retry }) => retry.enabled)) return
  if (!good(["spool"], producerPath, ...producers.map(({ name }) => [...producerPath, name, "retry", "enabled"])))
    return
  say(["spool"], "does nothing: only what is diverted can be spooled, and no producer has retry.enabled: true")
}

const services = (config: AppConfig, say: Say, good: Good): void => {
  const { breaker } = config
  const max: Path = ["breaker", "open_max"]
  const min: Path = ["breaker", "open_min"]
  if (breaker.openMinMs > breaker.openMaxMs && good(min, max)) {
    const found = formatDuration(breaker.openMinMs)
    say(min, `must not be longer than open_max (${formatDuration(breaker.openMaxMs)}), found ${found}`)
  }
  const slow: Path = ["breaker", "slow_call"]
  for (const output of Object.values(config.outputs).sort((a, b) => a.writeTimeoutMs - b.writeTimeoutMs)) {
    const write: Path = [...outputPath, output.name, "write_timeout"]
    if (breaker.slowCallMs === undefined || breaker.slowCallMs < output.writeTimeoutMs || !good(slow, write)) continue
    const longest = `write_timeout of output ${output.name} (${formatDuration(output.writeTimeoutMs)})`
    const message = `must be shorter than ${longest}, which ends slower calls; found ${formatDuration(breaker.slowCallMs)}`
    say(slow, message, { once: true })
  }
}
