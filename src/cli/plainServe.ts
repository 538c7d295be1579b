/**
 * `serve --config a.yaml --config b.yaml` read without the command line's library, which takes longer to load than all the rest
 * of the service. Whatever is not as plain as that is left to it.
 */
import type { ServeOptions } from "./startService.ts"

/** Undefined: not plain. */
export const read = ([command, ...options]: ReadonlyArray<string>): ServeOptions | undefined => {
  if (command !== "serve") return undefined
  const config: Array<string> = []
  let withoutRetry = false
  let workers = 1
  for (let at = 0; at < options.length; at++) {
    const option = options[at]
    if (option === "--without-retry" && !withoutRetry) {
      withoutRetry = true
      continue
    }
    const file = options[++at]
    if (option === "--workers" && workers === 1 && file !== undefined && /^[1-9]\d{0,2}$/.test(file)) {
      workers = Number(file)
      continue
    }
    if ((option !== "--config" && option !== "-c") || file === undefined || file === "" || file.startsWith("-")) {
      return undefined
    }
    config.push(file)
  }
  return config.length === 0 ? undefined : { config, withoutRetry, workers }
}
