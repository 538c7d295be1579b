/**
 * The brokers of one cluster: who they are, a connection to each, another for what is large, and small requests to whichever
 * of them answers first.
 */
import * as KafkaErrors from "../internal/kafkaErrors.ts"
import * as Protocol from "../internal/kafkaProtocol.ts"
import { KafkaError } from "../KafkaClient.ts"
import { BrokerLink, type SaslOptions, type TlsOptions } from "./brokerLink.ts"

export interface PoolOptions {
  /** Seed brokers, `host:port`. Tried in random order. */
  readonly brokers: ReadonlyArray<string>
  readonly clientId: string
  readonly tls?: TlsOptions | undefined
  readonly sasl?: SaslOptions | undefined
  /** ms to connect to one broker. */
  readonly connectionTimeoutMs: number
  /** ms after which an unanswered request counts as lost, where no shorter deadline applies. */
  readonly requestTimeoutMs: number
}

/** A request any broker can answer. */
export interface SmallRequest<A> {
  readonly apiKey: number
  readonly apiName: string
  /** The newest version that `body` and `read` are made for. */
  readonly newest: number
  readonly body: Buffer
  readonly read: (payload: Uint8Array, version: number) => A
}

/** How long one broker may stay silent to a small request before the next one is asked too, ms. */
const hedgeMs = 200

const shuffled = <A>(items: Iterable<A>): Array<A> =>
  Array.from(items, item => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)

export class BrokerPool {
  readonly #options: PoolOptions
  readonly #links = new Map<string, BrokerLink>()
  /** Over which nothing else has to wait for a large batch to leave; opened when the first does. */
  readonly #largeLinks = new Map<string, BrokerLink>()
  /** Broker id to address. */
  readonly #brokers = new Map<number, string>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  close(): void {
    this.#closed = true
    for (const links of [this.#links, this.#largeLinks]) {
      for (const link of links.values()) link.drop(undefined)
      links.clear()
    }
  }

  /** The cluster as it has just described itself. */
  learn(brokers: ReadonlyArray<{ readonly id: number; readonly host: string; readonly port: number }>): void {
    this.#brokers.clear()
    for (const broker of brokers) this.#brokers.set(broker.id, `${broker.host}:${broker.port}`)
  }

  /** Undefined: the cluster has named no such broker. */
  addressOf(broker: number): string | undefined {
    return this.#brokers.get(broker)
  }

  /** The connection to a broker, or the one for what is large; a new one when the last is of no use any more. */
  link(address: string, large = false): BrokerLink {
    const links = large ? this.#largeLinks : this.#links
    const known = links.get(address)
    if (known?.usable === true) return known
    const separator = address.lastIndexOf(":")
    const { clientId, connectionTimeoutMs, requestTimeoutMs, sasl, tls } = this.#options
    const link = new BrokerLink({
      host: address.slice(0, separator).replace(/^\[|\]$/g, ""),
      port: Number(address.slice(separator + 1)),
      clientId,
      connectionTimeoutMs,
      requestTimeoutMs,
      sasl,
      tls
    })
    if (this.#closed) link.drop(undefined)
    else links.set(address, link)
    // A broker that takes one connection only would have none left for this one.
    const second = this.#largeLinks.get(address)
    if (!large && second?.idle === true) second.drop(undefined)
    return link
  }

  /** A small request to whichever broker answers first: asked one after the other, a little apart. */
  async askAny<A>(timeoutMs: number, request: SmallRequest<A>): Promise<A> {
    const connected = Array.from(this.#links.values()).filter(link => link.ready)
    const addresses = new Set([
      ...shuffled(connected).map(link => link.address),
      ...shuffled(this.#brokers.values()),
      ...shuffled(this.#options.brokers)
    ])
    const ask = async (address: string): Promise<A> => {
      const link = this.link(address)
      await link.connect()
      const apiVersion = link.version(request.apiKey, request.newest)
      if (apiVersion === undefined) throw KafkaErrors.fromCode(35)
      const call = {
        apiKey: request.apiKey,
        apiName: request.apiName,
        apiVersion,
        timeoutMs,
        pieces: (correlationId: number) =>
          Protocol.frame(request.apiKey, apiVersion, correlationId, link.clientId, request.body)
      }
      const payload = await new Promise<Uint8Array>((resolve, reject) => link.call(call, resolve, reject))
      return request.read(payload, apiVersion)
    }
    return new Promise((resolve, reject) => {
      const waiting = Array.from(addresses)
      let open = 0
      let hedge: ReturnType<typeof setTimeout> | undefined
      const end = setTimeout(() => {
        clearTimeout(hedge)
        reject(KafkaErrors.attemptTimeout(false, false, timeoutMs))
      }, timeoutMs)
      const next = () => {
        clearTimeout(hedge)
        const address = waiting.shift()
        if (address === undefined) return
        open++
        hedge = setTimeout(next, hedgeMs)
        ask(address).then(
          answer => {
            clearTimeout(hedge)
            clearTimeout(end)
            resolve(answer)
          },
          cause => {
            open--
            if (waiting.length > 0) next()
            else if (open === 0) {
              clearTimeout(hedge)
              clearTimeout(end)
              reject(cause instanceof KafkaError ? cause : KafkaErrors.fromThrown(cause, false, false))
            }
          }
        )
      }
      next()
    })
  }
}
