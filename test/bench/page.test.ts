import assert from "node:assert/strict"
import { test } from "node:test"
import { benchPage } from "../../bench/page/benchPage.ts"
import { html } from "../../bench/page/html.ts"
import { barPlot, linePlot, logTicks, ticks } from "../../bench/page/plot.ts"
import { resultsPage } from "../../bench/page/resultsPage.ts"
import { type BenchResult, type Sample, summarize, summarizeLatency } from "../../bench/report.ts"
import { contenders, latencyClients } from "../../bench/rows.ts"

/** A rate of its own for every row, by which it can be found on the page. */
const samples: ReadonlyArray<Sample> = contenders({ deno: true, go: true }).flatMap(({ name, runtime, sizes }, index) =>
  sizes.flatMap(size =>
    [1, 2].map(round => ({
      ...{ name, runtime, size, round, recordsPerSecond: 1_000_000 + index * 1000 + size / 100 + round * 10 },
      ...(runtime === "java" ? {} : { cpuMicrosPerRecord: 1 + index }),
      memory: [1, 2, 3].map(seconds => ({ seconds, rssMiB: 100 + seconds, heapMiB: 20 }))
    }))
  )
)

const result: BenchResult = {
  version: 2,
  date: "2026-01-02T03:04:05.000Z",
  command: `bun bench/main.ts --only "a<b"`,
  commit: "abc1234+",
  tookSeconds: 90,
  machine: { cpu: "<script>alert(1)</script> & Sons", cores: 2, memoryGiB: 24, platform: "linux x64" },
  versions: { bun: "1.2.3", kafka: "4.5.6" },
  settings: { brokers: 3, "replication factor": 3 },
  rounds: 2,
  rows: summarize(samples),
  latency: summarizeLatency(
    latencyClients.flatMap((client, index) =>
      [0.1, 0.9].map(share => ({
        ...{ client, size: 200, share, of: "slowest", rate: share * 7000, round: 1, recordsPerSecond: share * 7000 },
        ...{ cpuMicrosPerRecord: 3, latencyMs: { p50: 1 + index, p99: 20, p999: 30, most: 40 } }
      }))
    )
  ),
  failures: ["round 1  java: <broken>"]
}

const empty = new Set(["meta", "link", "line", "rect", "path"])
/** The page is written so that it can be read as XML, but for elements that never have content: every element is closed in order. */
const assertWellFormed = (page: string): void => {
  const open: Array<string> = []
  const content = page.replace(/<!doctype html>/, "").replace(/<style>[\s\S]*?<\/style>/, "")
  for (const [, closing, name = "", attributes = "", selfClosing] of content.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[\w-]+="[^"<>]*")*)\s*(\/?)>/gi
  )) {
    if (closing === "/") assert.equal(open.pop(), name)
    else if (selfClosing !== "/" && !empty.has(name)) open.push(name)
    const ids = [...attributes.matchAll(/\sid="([^"]*)"/g)]
    assert.ok(ids.length <= 1)
  }
  assert.deepEqual(open, [])
  // Nothing that begins like an element was passed over.
  const texts = content.replaceAll(/<(\/?)([a-z][a-z0-9]*)((?:\s+[\w-]+="[^"<>]*")*)\s*(\/?)>/gi, "")
  assert.doesNotMatch(texts, /[<>]/)
  const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const [, id] of page.matchAll(/(?:href="#|aria-labelledby=")([^"]*)"/g)) assert.ok(ids.includes(id), String(id))
  assert.doesNotMatch(page, /NaN|Infinity|undefined/)
}

test("the page is well-formed, with every id once and every reference to one that is there", () => {
  assertWellFormed(benchPage(result))
})

test("every row is on the page with its figures, those of latency too", () => {
  const page = benchPage(result)
  for (const { recordsPerSecond, name } of result.rows) {
    const row = new RegExp(
      `<th scope="row">${name}</th>(<td>[^<]*</td>)*<td>${recordsPerSecond.toLocaleString("en")}</td>`
    )
    assert.match(page, row)
  }
  for (const { client, latencyMs } of result.latency) {
    assert.match(
      page,
      new RegExp(`<th scope="row">${client}</th><td>\\d+ % of the slowest&#39;s</td>.*<td>${latencyMs.p50}</td>`)
    )
  }
})

test("machine, versions, settings, date, command and failures are told", () => {
  const page = benchPage(result)
  for (const text of [
    "2026-01-02 03:04",
    "2 cores",
    "bun 1.2.3",
    "replication factor 3",
    "abc1234+",
    "--only &quot;a&lt;b&quot;"
  ])
    assert.ok(page.includes(text), text)
  assert.ok(page.includes("java: &lt;broken&gt;"))
})

test("what a result holds is text, never markup, and the page loads nothing", () => {
  const page = benchPage(result)
  assert.ok(page.includes("&lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons"))
  assert.doesNotMatch(page, /<script|<img|<iframe|@import|url\(|src=|https?:/)
  assert.match(page, /Content-Security-Policy" content="default-src 'none'/)
})

test("the same result makes the same page", () => {
  assert.equal(benchPage(result), benchPage(result))
})

test("a result of one row, or of none, is a page too", () => {
  assertWellFormed(benchPage({ ...result, rows: result.rows.slice(0, 1), latency: [], failures: [] }))
  assertWellFormed(benchPage({ ...result, rows: [], latency: [] }))
})

test("several results on one page: sections under the file's name, others as tables and lines", () => {
  const other = {
    minutes: 60,
    rows: [
      {
        client: "a<b",
        lost: 0,
        phase: { p99: 1.25 },
        overTime: [1, 2].map(seconds => ({ seconds, rssMiB: seconds * 7 }))
      },
      { client: "c", lost: 3, extra: true }
    ]
  }
  const page = resultsPage([
    { name: "soak", content: other },
    { name: "one", content: result },
    { name: "two", content: result }
  ])
  assertWellFormed(page)
  assert.match(page, /<td>a&lt;b<\/td><td>0<\/td><td>1\.25<\/td>/)
  assert.match(page, /<td>c<\/td><td>3<\/td><td><\/td><td>yes<\/td>/)
  assert.match(page, /overTime: rssMiB/)
  assert.ok(page.indexOf('id="one-ratios"') < page.indexOf('id="soak"'))
  assert.throws(() => resultsPage([{ name: "x", content: { version: 1 } }]), /x is no result of a benchmark/)
})

test("templates escape all but templates", () => {
  const part = html`<b>${"<&>\"'"}</b>`
  assert.equal(html`<i title="${'"'}">${part}${[part]}${undefined}${1}</i>`.text.split(part.text).length, 3)
  assert.equal(part.text, "<b>&lt;&amp;&gt;&quot;&#39;</b>")
})

test("axes have round steps that hold the data", () => {
  assert.deepEqual(ticks(1_234), [0, 500, 1000])
  assert.deepEqual(ticks(0), [0])
  assert.deepEqual(logTicks(7, 120), [5, 10, 20, 50, 100, 200])
  assert.deepEqual(logTicks(0.3, 0.4), [0.2, 0.5])
})

test("bars have whiskers where rounds differ, and are as long as their values", () => {
  const bar = { label: "x", colour: "c0" } as const
  const { text } = barPlot({
    title: "t",
    unit: "u",
    bars: [
      { ...bar, value: 10, low: 8, high: 12 },
      { ...bar, value: 5, low: 5, high: 5 }
    ]
  })
  assert.equal(text.match(/class="whisker"/g)?.length, 1)
  const [long = 0, brief = 0] = [...text.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width))
  assert.ok(Math.abs(long / brief - 2) < 0.01)
})

test("a line without points is left out", () => {
  const { text } = linePlot({
    title: "t",
    xUnit: "s",
    yUnit: "ms",
    lines: [
      {
        label: "full",
        colour: "c0",
        points: [
          [0, 1],
          [1, 2]
        ]
      },
      { label: "void", colour: "c1", points: [] }
    ]
  })
  assert.ok(text.includes("full") && !text.includes("void"))
})
