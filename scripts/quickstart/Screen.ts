/**
 * What the quickstart says: steps, results, and one line that redraws itself on a terminal. Elsewhere plain lines, and
 * the redrawn one only now and then.
 */
const spinner = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇"] as const
const redrawMs = 100
const plainEveryMs = 2000

type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"
const codes: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export class Screen {
  readonly #out: Output
  readonly #tty: boolean
  readonly #colours: boolean
  #timer: ReturnType<typeof setInterval> | undefined
  #frame = 0
  #drawn = false

  constructor(out: Output, noColour: boolean) {
    this.#out = out
    this.#tty = out.isTTY === true
    this.#colours = this.#tty && !noColour
  }

  paint(colour: Colour, text: string): string {
    return this.#colours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text
  }

  line(text = ""): void {
    this.#clear()
    this.#out.write(`${text}\n`)
  }

  step(number: number, title: string): void {
    this.line()
    this.line(`${this.paint("cyan", String(number))}  ${this.paint("bold", title)}`)
  }

  good(text: string): void {
    this.line(`   ${this.paint("green", "✓")} ${text}`)
  }

  bad(text: string): void {
    this.line(`   ${this.paint("red", "✗")} ${text}`)
  }

  /** More about the line before. */
  detail(text: string): void {
    this.line(`     ${this.paint("dim", text)}`)
  }

  /** Shows `text()` as long as `work` lasts. */
  async live<A>(text: () => string, work: Promise<A>): Promise<A> {
    if (this.#tty) this.#draw(text())
    let lastPlainAt = Date.now()
    this.#timer = setInterval(() => {
      if (!this.#tty && Date.now() - lastPlainAt < plainEveryMs) return
      lastPlainAt = Date.now()
      this.#draw(text())
    }, redrawMs)
    try {
      return await work
    } finally {
      this.quiet()
    }
  }

  /** Ends the redrawn line. */
  quiet(): void {
    clearInterval(this.#timer)
    this.#clear()
  }

  #draw(text: string): void {
    if (!this.#tty) {
      this.#out.write(`     ${text}\n`)
      return
    }
    const room = Math.max(20, (this.#out.columns ?? 80) - 6)
    const cut = text.length > room ? `${text.slice(0, room - 1)}…` : text
    const mark = this.paint("yellow", spinner[this.#frame++ % spinner.length] ?? "")
    this.#out.write(`\r\x1b[2K   ${mark} ${cut}`)
    this.#drawn = true
  }

  #clear(): void {
    if (this.#drawn) this.#out.write("\r\x1b[2K")
    this.#drawn = false
  }
}

/** 12,345 */
export const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** 850 ms, 3.2 s */
export const time = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
