/** One page of several stored results. */
import type { BenchResult } from "../report.ts"
import { benchFacts, benchPage, benchSections } from "./benchPage.ts"
import { html } from "./html.ts"
import { isFields, otherSection } from "./otherRows.ts"
import { page, type Section } from "./page.ts"

export interface Stored {
  /** What it is called on the page. */
  readonly name: string
  /** As it was parsed. */
  readonly content: unknown
}

/** `main.ts` writes a version into what it stores; the others do not. */
export const isBenchResult = (content: unknown): content is BenchResult =>
  isFields(content) && content.version === 2 && Array.isArray(content.rows) && Array.isArray(content.latency)

/** Each result's sections under its name: two runs have sections of the same kind. */
const sectionsOf = ({ content, name }: Stored): ReadonlyArray<Section> => {
  if (isBenchResult(content)) {
    const sections = benchSections(content)
    const about = { id: `${name}-run`, title: `${name}: where and how`, content: [benchFacts(content)] }
    return [
      about,
      ...sections.map(section => ({ ...section, id: `${name}-${section.id}`, title: `${name}: ${section.title}` }))
    ]
  }
  if (isFields(content) && Array.isArray(content.rows)) return [otherSection(name, content)]
  throw new Error(`${name} is no result of a benchmark: it has no rows`)
}

export const resultsPage = (stored: ReadonlyArray<Stored>): string => {
  const [only] = stored
  if (stored.length === 1 && isBenchResult(only?.content)) return benchPage(only.content)
  const first = stored.filter(({ content }) => isBenchResult(content))
  const others = stored.filter(({ content }) => !isBenchResult(content))
  const lead = html`<p class="lead">What the benchmarks of the repository printed: ${stored.map(({ name }) => name).join(", ")}.</p>`
  return page("Spillway's benchmarks", [lead], [...first, ...others].flatMap(sectionsOf))
}
