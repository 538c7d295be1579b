/**
 * The dashboard in a real browser, through a real outage. On Bun only: what a browser shows does not depend on the runtime
 * that serves it, and the routes have tests of their own on both.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { after, before, describe, it } from "node:test"
import type { Browser, Page } from "playwright-core"
import { readAll } from "../support/KafkaJsReader.ts"
import { headerText } from "../support/StoredRecord.ts"
import * as Chromium from "./Browser.ts"
import { OutageSite, token, topic } from "./OutageSite.ts"

const chromium = Chromium.find()
const slow = { timeout: 120_000 }
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** Serious and critical faults, as axe-core names them. */
const accessibilityFaults = async (page: Page): Promise<ReadonlyArray<string>> => {
  // Evaluated by the debugger's protocol, which the page's policy does not concern.
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const { violations } = await Reflect.get(window, "axe").run(document)
    return violations
      .filter(({ impact }: { impact: string }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }: { id: string; nodes: Array<{ html: string; failureSummary: string }> }) =>
        nodes.map(({ failureSummary, html }) => `${id}: ${html.slice(0, 160)}: ${failureSummary}`)
      )
  })
}

const schemes = ["light", "dark"] as const
const sizes = [
  [1280, 900],
  [360, 780]
] as const

describe("the dashboard", { skip: chromium === undefined ? "needs Debian's package chromium" : false }, () => {
  let site: OutageSite
  let browser: Browser
  let page: Page
  let faults: Array<string>

  before(async () => {
    ;[site, browser] = await Promise.all([OutageSite.start(), Chromium.launch(chromium ?? "")])
    site.startLoad(400)
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "no-preference" })
    ;({ faults, page } = await Chromium.watched(context, site.service.url))
  }, slow)
  after(async () => {
    await browser?.close()
    await site?.stop()
  }, slow)

  const text = (selector: string) => page.textContent(selector)
  /** Waits until the page shows it. */
  const shows = (selector: string, what: RegExp, timeout = 20_000) =>
    page.locator(selector).filter({ hasText: what }).first().waitFor({ timeout })

  it("asks for the token, says when it is wrong, and shows live numbers with the right one", slow, async () => {
    await page.goto(site.service.url)
    await page.waitForSelector("dialog[open]")
    await page.fill("#token", "wrong")
    await page.keyboard.press("Enter")
    await shows("#token-hint", /does not know this token/)
    await page.fill("#token", token)
    await page.keyboard.press("Enter")
    await page.waitForSelector("#link[data-state=live]")
    await shows("#verdict-title", /^Accepting$/)
    await page.waitForSelector(".edge.way-delivered[data-flowing=true]")
    assert.equal(await text("#law-verdict"), "✓ the sum is right")
    // The browser itself reports the two answers 401 as errors: they were asked for.
    assert.deepEqual(
      faults.splice(0).filter(fault => !fault.includes("401")),
      []
    )
  })

  it("moves what flows, and not for those who want it still", slow, async () => {
    const offset = () => page.$eval(".way-delivered .dots", dots => Reflect.get(dots, "style").strokeDashoffset)
    const before = await offset()
    await page.waitForFunction(
      was => Reflect.get(document.querySelector(".way-delivered .dots") ?? {}, "style").strokeDashoffset !== was,
      before
    )
    await page.emulateMedia({ reducedMotion: "reduce" })
    const frames = () =>
      page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))
    await frames()
    const still = await offset()
    for (let frame = 0; frame < 10; frame++) await frames()
    assert.equal(await offset(), still)
    await page.emulateMedia({ reducedMotion: "no-preference" })
  })

  it("shows an outage: the open breaker, its countdown, the diversion", slow, async () => {
    await site.kafka.broker(1).kill()
    await shows("#verdict-title", /^Degraded$/)
    await page.waitForSelector(".gate[data-state=open]")
    await shows(".gate-probe", /^probe in \d/)
    await page.waitForSelector(".edge.way-diverted[data-flowing=true]")
    await shows("#verdict-story", /Nothing is lost/)
    await shows("#changes .what", /breaker of default: open/)
    assert.match((await text("#announcer")) ?? "", /^Readiness: degraded/)
    assert.equal(await site.publishOversized("big-1"), "202 diverted")
    // More changes than the list has room for.
    for (let i = 0; i < 10; i++) {
      await site.force("open")
      await site.force("auto")
    }
    await page.waitForFunction(() => document.querySelectorAll("#changes li").length > 20)
  })

  for (const colorScheme of schemes) {
    for (const [width, height] of sizes) {
      it(`has no serious accessibility fault, ${colorScheme}, ${width} px wide`, slow, async () => {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" })
        await page.setViewportSize({ width, height })
        await page.$$eval("details", all => all.forEach(details => details.setAttribute("open", "")))
        assert.deepEqual(await accessibilityFaults(page), [])
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        assert.ok(overflow <= 0, `${overflow} px wider than the window`)
        await page.$$eval("details", all => all.forEach(details => details.removeAttribute("open")))
      })
    }
  }

  it("shows the recovery, and lets a dead letter be peeked at and redriven to Kafka", slow, async () => {
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" })
    await page.setViewportSize({ width: 1280, height: 900 })
    await site.kafka.broker(1).restart()
    await shows("#verdict-title", /^Accepting$/, 40_000)
    await shows("[data-node=dead] .node-value", /^1$/, 40_000)
    await site.raiseLimit()
    await page.click("#letters-list")
    await shows(".letters code", /^MESSAGE_TOO_LARGE$/)
    await page.click("button[aria-label^='Peek at MESSAGE_TOO_LARGE']")
    await shows(".letter pre", /"order": "big-1"/)
    assert.deepEqual(await accessibilityFaults(page), [])
    await page.click("button[aria-label^='Redrive MESSAGE_TOO_LARGE']")
    await shows("#dialog-title", /Redrive 1 dead letter with MESSAGE_TOO_LARGE/)
    await page.click("dialog button[type=submit]")
    await shows(".toast", /^1 record on the way back to Kafka$/)
    await shows("#letters .empty", /orders-dead-letters is empty/)
    await site.stopLoad()
    await site.status("all that is parked to be in Kafka", 40_000, ({ accounting, connections }) => {
      const parked = connections.flatMap(({ fallbacks }) => fallbacks.map(({ depth }) => depth))
      const empty = parked.every(depth => depth && depth.visible + depth.inFlight + depth.delayed === 0)
      return empty && accounting.redelivered >= accounting.diverted ? true : undefined
    })
    const stored = await readAll(site.kafka, topic)
    assert.ok(stored.some(record => headerText(record, "spillway-id") === "big-1"))
  })

  it("holds a breaker open when that is confirmed, and gives control back", slow, async () => {
    await page.click("[data-force=open]")
    await shows("#dialog-title", /Keep records away from Kafka/)
    await page.keyboard.press("Escape")
    assert.equal(await page.getAttribute("[data-force=auto]", "aria-pressed"), "true")
    await page.click("[data-force=open]")
    await page.click("dialog button[type=submit]")
    await shows(".gate-state", /breaker forced open/)
    assert.equal(await site.publish("held", "{}"), "202 diverted")
    await page.click("[data-force=auto]")
    await shows(".gate-state", /^breaker closed$/)
  })

  it("keeps the chosen theme", slow, async () => {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await background()
    await page.click("#theme")
    await page.click("#theme")
    assert.notEqual(await background(), light)
    await page.reload()
    assert.equal(await page.getAttribute("html", "data-theme"), "dark")
    await page.waitForSelector("#link[data-state=live]")
    // Who opens it now sees what was before.
    await page.waitForSelector("#throughput .outage")
  })

  it("says when the service cannot be reached any more", slow, async () => {
    assert.deepEqual(faults.splice(0), [])
    await site.service.end("SIGKILL")
    await shows("#link-text", /no answer; again in/)
    assert.equal(await page.getAttribute("body", "data-stale"), "")
  })
})
