/**
 * fauxqs: SQS and S3 inside this process. It can go down and come back on the same port with everything it held.
 */
import { type FauxqsServer, startFauxqs } from "fauxqs"
import { deleteDirectory, temporaryDirectory } from "./Guard.ts"
import { freePort } from "./ports.ts"

export interface Fauxqs {
  /** Base URL of the SQS and S3 APIs; any region and credentials will do. */
  readonly endpoint: string
  readonly port: number
  /** The library's own server, for `createQueue`, `inspectQueue`, `createBucket` and the like; fails while down. */
  readonly server: () => FauxqsServer
  /** Creates a queue and returns a URL on `endpoint`. */
  readonly createQueue: (name: string, attributes?: Readonly<Record<string, string>>) => string
  /** Connections are refused from now on; nothing stored is lost. */
  readonly down: () => Promise<void>
  /** Serves again on the same port what it held before. */
  readonly up: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** `persistent: false` keeps everything in memory (faster), so that `down` forgets it. */
export const start = async (options: { readonly persistent?: boolean } = {}): Promise<Fauxqs> => {
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const dataDir = options.persistent === false ? undefined : temporaryDirectory("fauxqs")
  const serve = (): Promise<FauxqsServer> =>
    startFauxqs({ port, host: "localhost", logger: false, ...(dataDir === undefined ? {} : { dataDir }) })
  let running: FauxqsServer | undefined = await serve()
  const server = (): FauxqsServer => {
    if (running === undefined) throw new Error("fauxqs is down")
    return running
  }
  const down = async (): Promise<void> => {
    const stopping = running
    running = undefined
    await stopping?.stop()
  }
  return {
    endpoint,
    port,
    server,
    createQueue: (name, attributes) => {
      const created = server().createQueue(name, attributes === undefined ? {} : { attributes: { ...attributes } })
      // The library's URL has a host name (sqs.us-east-1.localhost) that not every resolver knows; only the path counts.
      return `${endpoint}${new URL(created.queueUrl).pathname}`
    },
    down,
    up: async () => {
      running ??= await serve()
    },
    stop: async () => {
      await down()
      if (dataDir !== undefined) deleteDirectory(dataDir)
    }
  }
}
