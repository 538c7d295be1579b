/** One HTML file that needs nothing else: sections, each with plots and the tables of the same figures. */
import { type Html, html } from "./html.ts"
import { style } from "./style.ts"

export interface Section {
  /** For links; letters, digits and dashes. */
  readonly id: string
  readonly title: string
  readonly content: ReadonlyArray<Html>
}

/** A table under its caption; the first column names the row. Columns without any cell are left out. */
export const table = (
  caption: string,
  heads: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): Html => {
  const kept = heads.flatMap((_, column) =>
    column === 0 || rows.some(row => (row[column] ?? "") !== "") ? [column] : []
  )
  const head = kept.map(column => html`<th scope="col">${heads[column]}</th>`)
  const body = rows.map(row => {
    const cells = kept.map(column =>
      column === 0 ? html`<th scope="row">${row[column]}</th>` : html`<td>${row[column] ?? ""}</td>`
    )
    return html`<tr>${cells}</tr>\n`
  })
  return html`<div class="table" role="group" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody></table></div>
`
}

export const figureOf = (plot: Html, title: string): Html =>
  html`<h3>${title}</h3>
<figure role="group" aria-label="${title}" tabindex="0">${plot}</figure>
`

/** Names and what they are, one a line. */
export const facts = (entries: ReadonlyArray<readonly [name: string, value: string]>): Html =>
  html`<dl class="facts">${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
`

export const page = (title: string, lead: ReadonlyArray<Html>, sections: ReadonlyArray<Section>): string => {
  const links = sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)
  const shown = sections.map(
    ({ content, id, title }) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${content}</section>
`
  )
  // The style is our own text, without anything of a result.
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
${html`<title>${title}</title>`.text}
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
${
  html`<h1>${title}</h1>
${lead}
<nav aria-label="Sections"><ul>${links}</ul></nav>
${shown}`.text
}</main>
</body>
</html>
`
}
