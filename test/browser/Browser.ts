/**
 * Headless Chromium, watched for everything a page should not do.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import process from "node:process"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** Where Chromium is. Installed from Debian's package when it is missing and this may be done; undefined when it is not to be had. */
export const find = (): string | undefined => {
  const found = () => [process.env.CHROMIUM ?? "", ...places].find(path => path !== "" && existsSync(path))
  if (found() === undefined && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
    for (const args of [["update"], ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]]) {
      spawnSync("apt-get", args, { env, stdio: "ignore" })
    }
  }
  return found()
}

export const launch = (executablePath: string): Promise<Browser> =>
  // Root may not use Chromium's sandbox; the pages are our own.
  chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] })

/** A page and what it did that it should not: errors, warnings, requests to others. */
export const watched = async (
  context: BrowserContext,
  origin: string
): Promise<{ readonly page: Page; readonly faults: Array<string> }> => {
  const page = await context.newPage()
  const faults: Array<string> = []
  page.on("pageerror", error => void faults.push(`error: ${error.message}`))
  // Content security policy violations are errors of the console, too.
  page.on("console", message => {
    if (message.type() === "error" || message.type() === "warning") faults.push(`${message.type()}: ${message.text()}`)
  })
  page.on("request", request => {
    const url = request.url()
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) faults.push(`request: ${url}`)
  })
  return { page, faults }
}
