/** kafkajs's own reader of record batches, as an independent decoder. */
declare module "kafkajs/src/protocol/decoder.js" {
  export default class Decoder {
    constructor(bytes: Buffer)
  }
}

declare module "kafkajs/src/protocol/recordBatch/v0/decoder.js" {
  import type Decoder from "kafkajs/src/protocol/decoder.js"
  export default function decode(decoder: Decoder): Promise<{
    readonly records: ReadonlyArray<{
      readonly timestamp: string
      readonly key: Buffer | null
      readonly value: Buffer | null
    }>
  }>
}
