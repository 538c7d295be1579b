/**
 * One Kafka broker of the test cluster and what can be done to it.
 */
import { eventually } from "./eventually.ts"
import { host, type NodeAddress } from "./KafkaProperties.ts"
import { probe } from "./MetadataProbe.ts"
import type { ServerProcess } from "./ServerProcess.ts"

export class Broker {
  /** `node.id`, from 1. */
  readonly id: number
  readonly host = host
  /** PLAINTEXT port, the same over restarts. */
  readonly port: number
  readonly #process: ServerProcess

  constructor(node: NodeAddress, process: ServerProcess) {
    this.id = node.id
    this.port = node.port
    this.#process = process
  }

  /** `host:port` of the PLAINTEXT listener. */
  get address(): string {
    return `${this.host}:${this.port}`
  }
  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.#process.pid
  }
  /** Running and not frozen. */
  get live(): boolean {
    return this.#process.running && !this.#process.frozen
  }
  get logFile(): string {
    return this.#process.logFile
  }

  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void> {
    return this.#process.kill()
  }
  /** SIGSTOP: its connections stay open and nothing answers. */
  freeze(): void {
    this.#process.freeze()
  }
  /** SIGCONT. */
  resume(): void {
    this.#process.resume()
  }
  /**
   * SIGTERM: the broker hands its partitions over first. Resolves when the process has ended; false when it had to be
   * killed at the deadline (30 000 ms by default), as happens when the other controllers are down.
   */
  shutdown(deadlineMs?: number): Promise<boolean> {
    return this.#process.shutdown(deadlineMs)
  }

  /** Starts it again on the same ports and data, after a shutdown if it still runs, and waits until it serves. */
  async restart(deadlineMs = 60_000): Promise<void> {
    await this.shutdown()
    await this.launch()
    await this.ready(deadlineMs)
  }

  /** Starts the process without waiting: `restart` is what tests want, unless a quorum cannot form yet. */
  launch(): Promise<void> {
    return this.#process.start()
  }

  /** Resolves when this broker answers and the cluster counts it as alive. */
  async ready(deadlineMs = 60_000): Promise<void> {
    const self = this.#process
    try {
      await eventually(
        `broker ${this.id}`,
        deadlineMs,
        async () => {
          const { brokers } = await probe(this)
          return brokers.some(({ id }) => id === this.id) ? true : undefined
        },
        { giveUp: () => (self.running ? undefined : "the process ended") }
      )
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${reason}\n--- end of its log ---\n${self.tail()}`, { cause: error })
    }
  }
}
