/**
 * What lies in a bucket, by plain HTTP, for an S3 that asks for no signature.
 */
export interface Bucket {
  readonly keys: () => Promise<ReadonlyArray<string>>
  readonly put: (key: string, bytes: Uint8Array) => Promise<void>
  readonly delete: (key: string) => Promise<void>
  /** The SHA-256 that S3 keeps of an object. */
  readonly checksum: (key: string) => Promise<string | null>
}

export const bucket = (endpoint: string, name: string): Bucket => {
  const ask = async (method: string, path: string, body: Uint8Array | null = null): Promise<Response> => {
    const headers = { "x-amz-checksum-mode": "ENABLED" }
    const bytes = body === null ? null : Uint8Array.from(body)
    const answer = await fetch(`${endpoint}/${name}${path}`, { method, headers, body: bytes })
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`)
    return answer
  }
  return {
    keys: async () => {
      const text = await (await ask("GET", "?list-type=2")).text()
      return Array.from(text.matchAll(/<Key>([^<]*)<\/Key>/g), ([, key = ""]) => key)
    },
    put: async (key, bytes) => {
      await (await ask("PUT", `/${key}`, bytes)).text()
    },
    delete: async key => {
      await (await ask("DELETE", `/${key}`)).text()
    },
    checksum: async key => {
      const answer = await ask("GET", `/${key}`)
      await answer.arrayBuffer()
      return answer.headers.get("x-amz-checksum-sha256")
    }
  }
}
