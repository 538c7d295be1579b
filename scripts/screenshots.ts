/**
 * The pictures of docs/dashboard.md, taken of the real thing: `bun scripts/screenshots.ts`. A real Kafka is killed and started
 * again under load. `--quick` spends less time, for pictures with emptier plots.
 */
import { mkdirSync, statSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import * as Chromium from "../test/browser/Browser.ts"
import { OutageSite, token } from "../test/browser/OutageSite.ts"
import { root } from "../test/support/RunningService.ts"

const pictures = join(root, "docs/pictures")
const mostBytes = 200_000
const scale = process.argv.includes("--quick") ? 0.3 : 1
const seconds = (count: number) => new Promise<void>(resolve => setTimeout(resolve, count * 1000 * scale))

const desk = { viewport: { width: 1280, height: 900 } }
const telephone = { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2 }

const open = async (browser: Browser, url: string, options: BrowserContextOptions): Promise<Page> => {
  const context = await browser.newContext(options)
  // As if the token had been given already.
  await context.addInitScript(value => sessionStorage.setItem("spillway-token", value), token)
  const page = await context.newPage()
  await page.goto(url)
  await page.waitForSelector("#link[data-state=live]")
  return page
}

/** From the page's top to the end of `last`, or what is seen at once. */
const take = async (page: Page, name: string, last?: string): Promise<void> => {
  await page.evaluate(() => window.scrollTo(0, 0))
  const path = join(pictures, `${name}.png`)
  const { width = 0, height = 0 } = page.viewportSize() ?? {}
  const box = last === undefined ? undefined : await page.locator(last).boundingBox()
  const bottom = box === null || box === undefined ? height : box.y + box.height + 16
  await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height: bottom } })
  const { size } = statSync(path)
  console.log(`${name}.png: ${Math.ceil(size / 1024)} KiB`)
  if (size > mostBytes) throw new Error(`${name}.png is larger than ${mostBytes} bytes`)
}

const plots = "[aria-labelledby=throughput-title]"

const main = async (): Promise<void> => {
  const chromium = Chromium.find()
  if (chromium === undefined) throw new Error("Chromium is missing: apt-get install chromium")
  mkdirSync(pictures, { recursive: true })
  const site = await OutageSite.start()
  const browser = await Chromium.launch(chromium)
  try {
    const { url } = site.service
    const broker = site.kafka.broker(1)
    site.startLoad(1400)
    await seconds(120)
    const day = await open(browser, url, { ...desk, colorScheme: "light" })
    const night = await open(browser, url, { ...desk, colorScheme: "dark" })
    const hand = await open(browser, url, { ...telephone, colorScheme: "dark" })
    await seconds(10)
    await take(day, "calm", plots)

    await broker.kill()
    await seconds(15)
    for (const id of ["big-1", "big-2", "big-3"]) await site.publishOversized(id)
    await seconds(45)
    await night.waitForFunction(() => /in [23]\./.test(document.querySelector(".gate-probe")?.textContent ?? ""))
    await take(night, "outage", plots)
    await take(hand, "outage-phone")

    await broker.restart()
    await site.status("recovery", 60_000, ({ accounting }) => (accounting.redelivered > 0 ? true : undefined))
    await seconds(20)
    await take(night, "recovery", plots)

    await site.status("dead letters", 120_000, ({ accounting }) => (accounting.deadLettered >= 3 ? true : undefined))
    await day.click("#letters-list")
    await day.click("text=Peek")
    await day.waitForSelector(".letter")
    await day.locator("[aria-labelledby=letters-title]").screenshot({ path: join(pictures, "dead-letters.png") })
  } finally {
    await browser.close()
    await site.stop()
  }
}

await main()
process.exit(0)
