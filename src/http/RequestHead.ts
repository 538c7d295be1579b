/**
 * What a route sees of a request before its body, whichever server read it.
 */
export interface RequestHead {
  readonly method: string
  /** As it came, without the query: percent-encoded where the sender did so. */
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  /** By lower-case name; repeated ones joined by a comma and a space, `null` when there is none. */
  readonly header: (name: string) => string | null
  /** Each header's name once, in lower case. */
  readonly headerNames: () => Iterable<string>
  /**
   * Names in the client's certificate, its subject's common name and its alternative names, bare (without `DNS:` and the
   * like): only when the connection's TLS has verified it against `http.tls.client_ca_file`. Absent otherwise.
   */
  readonly clientNames?: ReadonlyArray<string> | undefined
}

/** Where the path of an absolute URL begins: behind the scheme and at least one character of the host. */
const shortestOrigin = "http://h".length

class WebHead implements RequestHead {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly #headers: Headers

  constructor({ headers, method, url }: Request) {
    this.method = method
    this.#headers = headers
    const start = url.indexOf("/", shortestOrigin)
    const target = start < 0 ? "/" : url.slice(start)
    const query = target.indexOf("?")
    this.path = query < 0 ? target : target.slice(0, query)
    this.query = query < 0 ? "" : target.slice(query + 1)
  }

  header(name: string): string | null {
    return this.#headers.get(name)
  }

  headerNames(): Iterable<string> {
    return this.#headers.keys()
  }
}

export const ofRequest = (request: Request): RequestHead => new WebHead(request)

/**
 * What a path has between its first and its last part, when that is one segment. Undefined: the path is another one;
 * `null`: it is badly escaped.
 */
export const segmentOf = (path: string, first: string, last: string): string | null | undefined => {
  if (!path.startsWith(first) || !path.endsWith(last)) return undefined
  const segment = path.slice(first.length, path.length - last.length)
  if (segment === "" || segment.includes("/")) return undefined
  if (!segment.includes("%")) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}
