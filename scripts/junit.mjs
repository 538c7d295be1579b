/**
 * Counts the tests in a JUnit report of `bun test` or `deno test`.
 */

const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const decode = text =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(amp|lt|gt|quot|apos));/gi, (_, decimal, hex, name) =>
    name === undefined ? String.fromCodePoint(Number.parseInt(decimal ?? hex, decimal ? 10 : 16)) : entities[name]
  )

const attribute = (tag, name) => decode(new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? "")

const parse = xml =>
  [...xml.matchAll(/<testcase\b((?:[^>"]|"[^"]*")*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(([, tag, body = ""]) => {
    const failure = /<(?:failure|error)\b((?:[^>"]|"[^"]*")*)>/.exec(body)
    return {
      name: attribute(tag, "name"),
      skipped: /<skipped\b/.test(body),
      failure: failure === null ? undefined : attribute(failure[1], "message") || "failed"
    }
  })

/**
 * Deno reports a `describe` as one more test, and its members as `describe > member`. It counts only where it failed by
 * itself, as when a hook throws.
 */
const withoutSuites = cases =>
  cases.filter(({ failure, name }) => {
    const members = cases.filter(other => other.name.startsWith(`${name} > `))
    return members.length === 0 || (failure !== undefined && members.every(member => member.failure === undefined))
  })

/** `{ passed, skipped, failures: [{ name, message }] }`. */
export const countTests = xml => {
  const cases = withoutSuites(parse(xml))
  const failures = cases
    .filter(({ failure }) => failure !== undefined)
    .map(({ failure, name }) => ({ name, message: failure.trim().split("\n")[0] }))
  const skipped = cases.filter(entry => entry.skipped && entry.failure === undefined).length
  return { passed: cases.length - failures.length - skipped, skipped, failures }
}
