/**
 * The text behind parsed JSON: a number such as 9007199254740993 does not survive a JavaScript number, its text does.
 * Everything here expects text that `JSON.parse` takes or is about to judge.
 */

const quoteCode = 34
const backslashCode = 92

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9

const skipSpace = (text: string, from: number): number => {
  let at = from
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** The position behind the string that begins at `from`. */
const skipString = (text: string, from: number): number => {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === backslashCode) at++
    else if (code === quoteCode) return at + 1
  }
  return text.length
}

/** The position behind the value that begins at `from`. */
const skipValue = (text: string, from: number): number => {
  let depth = 0
  for (let at = from; at < text.length; ) {
    const char = text[at]
    if (char === '"') {
      at = skipString(text, at)
      if (depth === 0) return at
      continue
    }
    if (char === "{" || char === "[") depth++
    else if (char === "}" || char === "]") {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (char === "," || isSpace(text.charCodeAt(at)))) return at
    at++
  }
  return text.length
}

/** The elements of an array, each as its text; undefined when the text is not one array. */
export const elements = (text: string): ReadonlyArray<string> | undefined => {
  const found: Array<string> = []
  let at = skipSpace(text, 0)
  if (text[at] !== "[") return undefined
  at = skipSpace(text, at + 1)
  if (text[at] === "]") return skipSpace(text, at + 1) === text.length ? found : undefined
  for (;;) {
    const end = skipValue(text, at)
    if (end === at) return undefined
    found.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text[at] === "]") return skipSpace(text, at + 1) === text.length ? found : undefined
    if (text[at] !== ",") return undefined
    at = skipSpace(text, at + 1)
  }
}

/** Without the whitespace between tokens. */
const compact = (text: string): string => {
  let result = ""
  let kept = 0
  for (let at = 0; at < text.length; ) {
    if (text[at] === '"') {
      at = skipString(text, at)
    } else if (isSpace(text.charCodeAt(at))) {
      result += text.slice(kept, at)
      at = skipSpace(text, at)
      kept = at
    } else at++
  }
  return kept === 0 ? text : result + text.slice(kept)
}

/** The value of a member of the object `text`, as compact JSON; the last one where a name repeats, as in `JSON.parse`. */
export const member = (text: string, name: string): string | undefined => {
  let found: string | undefined
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (at < text.length && text[at] === '"') {
    const nameEnd = skipString(text, at)
    const key: unknown = JSON.parse(text.slice(at, nameEnd))
    // Behind the colon.
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = skipValue(text, start)
    if (key === name) found = text.slice(start, end)
    at = skipSpace(text, skipSpace(text, end) + 1)
  }
  return found === undefined ? undefined : compact(found)
}
