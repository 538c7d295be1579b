/** Which rows belong together, what they are called and in which colour they are drawn. */
import type { Row } from "../report.ts"
import type { Colour } from "./plot.ts"

const ours: ReadonlyArray<string> = ["offer", "promise", "publishAll", "effect"]
const others: ReadonlyArray<string> = ["franz-go", "java", "platformatic", "kafkajs", "static"]
export const clients: ReadonlyArray<string> = [...ours, ...others]

const colours: Readonly<Record<string, Colour>> = {
  kafkajs: "c1",
  platformatic: "c2",
  java: "c3",
  "franz-go": "c4",
  static: "c5",
  "http-echo": "c5",
  "http-echo-256": "c5",
  "http-benthos": "c4",
  "sqs-singles": "c5"
}
export const colourOf = (name: string): Colour => colours[name] ?? "c0"

/** `offer (deno)`: Bun goes without saying. */
export const nameOf = ({ name, runtime }: Row): string => (runtime === "deno" ? `${name} (deno)` : name)
export const sizesOf = (rows: ReadonlyArray<Row>): ReadonlyArray<number> => [...new Set(rows.map(({ size }) => size))]
export const among = (rows: ReadonlyArray<Row>, names: ReadonlyArray<string>): ReadonlyArray<Row> =>
  rows.filter(({ name }) => names.includes(name))
