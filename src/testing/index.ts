/**
 * The fault kit: prove that your own settings lose nothing. See docs/testing.md.
 *
 * `MemoryKafka` and `MemoryQueue` are doubles whose every call can be scripted; `TcpProxy` and `SqsProxy` stand in front of
 * real servers.
 */
export * as MemoryQueue from "../FallbackQueue/Memory.ts"
export * as MemoryKafka from "../KafkaClient/Memory.ts"
export * as SqsProxy from "./SqsProxy.ts"
export * as TcpProxy from "./TcpProxy.ts"
