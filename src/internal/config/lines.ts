/**
 * Lines of a text that cannot be read, taken out so that the rest can: as spaces, so that every position stays.
 */

export const indentOf = (line: string): number => line.length - line.trimStart().length
const isBlank = (line: string): boolean => line.trim() === ""
const isHead = (line: string): boolean => /:\s*(#.*)?$/.test(line)
const blanked = (line: string): string => " ".repeat(line.length)

/** The line, or the next that is not blank. */
export const firstWritten = (text: string, line: number): number => {
  const ahead = text
    .split("\n")
    .slice(line - 1)
    .findIndex(line => !isBlank(line))
  return line + Math.max(ahead, 0)
}

/**
 * The text with a line, and what belongs to it, as spaces; undefined when it is so already. `misplaced`: its indentation
 * fits no section that is open, so what follows with the same one is not in its place either.
 */
export const without = (text: string, line: number, misplaced = false): string | undefined => {
  const lines = text.split("\n")
  const first = lines[line - 1] ?? ""
  if (isBlank(first)) return undefined
  const indent = indentOf(first)
  const next = lines.slice(line).find(line => !isBlank(line))
  let end = line
  // Below a misplaced value what is indented more belongs to the section that the value should be in.
  const alone = misplaced && !isHead(first) && next !== undefined && indentOf(next) !== indent
  while (end < lines.length && !alone) {
    const next = lines[end] ?? ""
    const closes = indentOf(next) === indent && /^\s*[\]}]+,?\s*$/.test(next)
    const ends = misplaced ? indentOf(next) < indent : indentOf(next) <= indent && !closes
    if (!isBlank(next) && ends) break
    end += 1
    if (closes) break
  }
  return lines.map((text, index) => (index >= line - 1 && index < end ? blanked(text) : text)).join("\n")
}

/**
 * One space for each tab where tabs alone indent the file: that is read as it was meant. Beside spaces a tab can mean any
 * level, so its line is left out, and with a section's head what is in it.
 */
export const withoutTabs = (text: string, tabbed: ReadonlySet<number>): string => {
  const lines = text.split("\n")
  if (lines.every(line => isBlank(line) || !line.startsWith(" "))) {
    return lines.map(line => line.replace(/^\t+/, tabs => " ".repeat(tabs.length))).join("\n")
  }
  let below = Number.POSITIVE_INFINITY
  const kept = lines.map((line, index) => {
    if (!tabbed.has(index + 1)) {
      if (isBlank(line) || indentOf(line) >= below) return blanked(line)
      below = Number.POSITIVE_INFINITY
      return line
    }
    const next = lines.find((later, at) => at > index && !isBlank(later))
    below = isHead(line) && next !== undefined ? Math.max(indentOf(next), 1) : Number.POSITIVE_INFINITY
    return blanked(line)
  })
  return kept.join("\n")
}
