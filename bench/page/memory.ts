/** Memory of the client's process over time. */
import type { LatencyRow, Row } from "../report.ts"
import type { Memory } from "../window.ts"
import { bytes, figure } from "./figures.ts"
import { html } from "./html.ts"
import { colourOf } from "./named.ts"
import { figureOf, type Section, table } from "./page.ts"
import { linePlot } from "./plot.ts"

interface Watched {
  readonly name: string
  readonly client: string
  readonly load: string
  readonly memory: ReadonlyArray<Memory>
}

/** The clients whose lines are drawn; the table has the others, too. */
const drawn: ReadonlyArray<string> = ["offer", "promise", "kafkajs", "platformatic"]

const watchedOf = (rows: ReadonlyArray<Row>, latency: ReadonlyArray<LatencyRow>): ReadonlyArray<Watched> => [
  ...rows.flatMap(({ memory = [], name, runtime, size }) =>
    memory.length === 0
      ? []
      : [
          {
            name: runtime === "deno" ? `${name} (deno)` : name,
            client: name,
            load: `all it can, ${bytes(size)}`,
            memory
          }
        ]
  ),
  ...latency.flatMap(({ client, memory = [], rate, size }) =>
    memory.length === 0 ? [] : [{ name: client, client, load: `${figure(rate)}/s, ${bytes(size)}`, memory }]
  )
]

export const memorySection = (rows: ReadonlyArray<Row>, latency: ReadonlyArray<LatencyRow>): Section | undefined => {
  const all = watchedOf(rows, latency)
  if (all.length === 0) return undefined
  const loads = [...new Set(all.filter(({ load }) => load.startsWith("all it can")).map(({ load }) => load))]
  const plots = loads.flatMap(load => {
    const lines = all
      .filter(one => one.load === load && drawn.includes(one.client) && one.name === one.client)
      .map(({ client, memory, name }) => ({
        label: name,
        colour: client === "promise" ? ("c3" as const) : colourOf(client),
        points: memory.map(({ rssMiB, seconds }) => [seconds, rssMiB] as const)
      }))
    const title = `Resident memory, ${load}`
    return lines.length === 0 ? [] : [figureOf(linePlot({ title, xUnit: "s", yUnit: "MiB", lines }), title)]
  })
  const most = (memory: ReadonlyArray<Memory>, field: "rssMiB" | "heapMiB") =>
    Math.max(...memory.map(one => one[field]))
  return {
    id: "memory",
    title: "Memory over time",
    content: [
      html`<p>The client's own process, looked at ten times a second from before its first record to the end of its window, in the last round (<em>then</em>: at the end of it). Heap is what the JavaScript engine counts. Rows at their highest rate hold up to 50 000 records or 128 MiB that are not yet acknowledged, with the benchmark's 1 024 values beside them.</p>`,
      ...plots,
      table(
        "Memory of the client's process, MiB",
        ["row", "load", "RSS before", "RSS at most", "RSS then", "heap before", "heap at most", "heap then"],
        all.map(({ load, memory, name }) => [
          name,
          load,
          figure(memory[0]?.rssMiB ?? 0),
          figure(most(memory, "rssMiB")),
          figure(memory.at(-1)?.rssMiB ?? 0),
          figure(memory[0]?.heapMiB ?? 0),
          figure(most(memory, "heapMiB")),
          figure(memory.at(-1)?.heapMiB ?? 0)
        ])
      )
    ]
  }
}
