/**
 * DescribeConfigs v1: the effective settings of a topic or a broker. A topic's can be asked of any broker, a broker's of
 * itself.
 *
 * @see https://kafka.apache.org/protocol#The_Messages_DescribeConfigs
 */
import { Reader, stringSize, writeString } from "../kafkaProtocol.ts"
import type { Settings } from "./evidence.ts"

export const describeConfigs = { apiKey: 32, apiName: "DescribeConfigs", version: 1 } as const

export const resourceTypes = { topic: 2, broker: 4 } as const

/** Asks for these settings of one resource. */
export const body = (type: number, name: string, settings: ReadonlyArray<string>): Buffer => {
  const bytes = Buffer.alloc(
    4 + 1 + stringSize(name) + 4 + settings.reduce((size, setting) => size + stringSize(setting), 0) + 1
  )
  let at = bytes.writeInt32BE(1, 0)
  at = bytes.writeInt8(type, at)
  at = writeString(bytes, at, name)
  at = bytes.writeInt32BE(settings.length, at)
  for (const setting of settings) at = writeString(bytes, at, setting)
  return bytes
}

/** The settings that have a value, or Kafka's error code. */
export const read = (payload: Uint8Array): { readonly errorCode: number; readonly settings: Settings } => {
  const reader = new Reader(payload)
  reader.int32()
  const [resource] = reader.array(() => {
    const errorCode = reader.int16()
    reader.string()
    reader.int8()
    reader.string()
    const entries = reader.array(() => {
      const entry = [reader.string() ?? "", reader.string()] as const
      // Read-only, source, sensitive; then the places a value comes from, which were not asked for.
      for (let i = 0; i < 3; i++) reader.int8()
      reader.array(() => [reader.string(), reader.string(), reader.int8()])
      return entry
    })
    return {
      errorCode,
      settings: Object.fromEntries(entries.flatMap(([name, value]) => (value === null ? [] : [[name, value]])))
    }
  })
  return resource ?? { errorCode: -1, settings: {} }
}
