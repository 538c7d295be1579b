/** The page's look: light or dark as the reader's system is, and on paper. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --ink: #1d2126; --soft: #5b636d; --rule: #e2dfd8; --plate: #f5f3ee;
  --c0: #0b6bcb; --c1: #b3541e; --c2: #7a4fb5; --c3: #2e7d4f; --c4: #a8326b; --c5: #6f757c;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e6e4df; --soft: #a2a9b2; --rule: #2d3238; --plate: #1b1f24;
    --c0: #5aaaf5; --c1: #f0945a; --c2: #b99af0; --c3: #62c48b; --c4: #ee86b4; --c5: #98a0a9;
  }
}
* { box-sizing: border-box; }
html { font: 17px/1.6 "Charter", "Iowan Old Style", "Palatino Linotype", Georgia, "DejaVu Serif", serif; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; }
body { max-width: 58rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
h1, h2, h3, th, svg text, .facts, summary, caption { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 2.1rem; line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 3.5rem 0 .4rem; padding-top: 1.2rem; border-top: 1px solid var(--rule); }
h3 { font-size: .95rem; margin: 1.6rem 0 .3rem; }
p { max-width: 42rem; margin: .5rem 0 1rem; }
.lead { font-size: 1.1rem; }
.note { color: var(--soft); font-size: .92rem; }
.bad { border-left: 4px solid var(--c4); padding-left: 1rem; }
code { font: .86em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
a { color: var(--c0); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .92rem; }
figure { margin: .6rem 0 1rem; padding: 1rem 1rem .6rem; background: var(--plate); border-radius: 8px; overflow-x: auto; }
svg { display: block; width: 100%; min-width: 34rem; height: auto; overflow: visible; }
svg text { fill: var(--ink); font-size: 13px; }
svg .tick { fill: var(--soft); font-size: 11.5px; }
svg .value { font-variant-numeric: tabular-nums; font-weight: 600; paint-order: stroke; stroke: var(--plate); stroke-width: 5px; stroke-linejoin: round; }
svg .grid { stroke: var(--rule); }
svg .mark { stroke: var(--ink); stroke-dasharray: 4 3; }
svg .whisker { stroke: var(--ink); stroke-width: 1.4; fill: none; opacity: .75; }
svg .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
svg .lead { fill: none; stroke: var(--soft); stroke-dasharray: 1 3; }
svg .c0 { --c: var(--c0); } svg .c1 { --c: var(--c1); } svg .c2 { --c: var(--c2); }
svg .c3 { --c: var(--c3); } svg .c4 { --c: var(--c4); } svg .c5 { --c: var(--c5); }
svg .bar, svg .dot { fill: var(--c); }
svg .line { stroke: var(--c); }
.table { overflow-x: auto; margin: 0 0 1.2rem; }
table { border-collapse: collapse; font-size: .84rem; min-width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .4rem; font-size: .85rem; }
th, td { padding: .28rem .55rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; font-size: .88rem; margin: 1.4rem 0; padding: 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
@media (max-width: 34rem) { .facts { grid-template-columns: 1fr; } .facts dd { margin-bottom: .4rem; } body { padding-top: 1.5rem; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --plate: #fff; }
  html { font-size: 10.5pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  figure { border: 1px solid var(--rule); padding: .5rem; overflow: visible; }
  figure, tr { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  .table { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .15rem .35rem; white-space: normal; }
  svg { min-width: 0; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`
