/** The parts of kafkajs 2.2.4 below its public API that Spillway builds on; `brokerLink.ts` asserts their shape. */
declare module "kafkajs/src/network/connectionPool.js" {
  import type { Socket } from "node:net"
  import type { Logger } from "kafkajs"
  export interface RequestQueue {
    push(request: {
      entry: {
        apiKey: number
        apiName: string
        apiVersion: number
        correlationId: number
        resolve: (answer: { payload: Uint8Array }) => void
        reject: (cause: unknown) => void
      }
      expectResponse: boolean
      requestTimeout: number | null
      sendRequest: () => void
    }): void
  }
  export interface Connection {
    readonly socket: Socket | undefined
    readonly sasl: unknown
    readonly requestQueue: RequestQueue
    connect(): Promise<true>
    disconnect(): Promise<true>
    authenticate(): Promise<void>
    isConnected(): boolean
    isAuthenticated(): boolean
    nextCorrelationId(): number
    rejectRequests(cause: Error): void
    send(request: {
      request: { apiKey: number; apiName: string; apiVersion: number; encode: () => Promise<unknown> }
      response: { decode: (payload: Uint8Array) => Promise<unknown>; parse: (decoded: unknown) => Promise<unknown> }
      requestTimeout?: number
      logResponseError?: boolean
    }): Promise<unknown>
  }
  export default class ConnectionPool {
    constructor(options: {
      host: string
      port: number
      logger: Logger
      clientId: string
      ssl: unknown
      sasl: unknown
      socketFactory: unknown
      connectionTimeout: number
      requestTimeout: number
      enforceRequestTimeout: boolean
      maxInFlightRequests: number | null
      reauthenticationThreshold: number
    })
    readonly pool: ReadonlyArray<Connection>
  }
}

declare module "kafkajs/src/broker/index.js" {
  import type { Logger } from "kafkajs"
  import type ConnectionPool from "kafkajs/src/network/connectionPool.js"
  export default class Broker {
    constructor(options: { connectionPool: ConnectionPool; logger: Logger; authenticationTimeout: number })
    readonly versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>> | null
    connect(): Promise<void>
  }
}

declare module "kafkajs/src/network/requestQueue/index.js" {
  export default class RequestQueue {
    pending: ReadonlyArray<unknown>
    throttledUntil: number
    throttleCheckTimeoutId: ReturnType<typeof setTimeout> | null
    checkPendingRequests(): void
    scheduleCheckPendingRequests(): void
  }
}

declare module "kafkajs/src/loggers/index.js" {
  import type { Logger } from "kafkajs"
  export function createLogger(options: { level: number; logCreator: () => () => void }): Logger
}
