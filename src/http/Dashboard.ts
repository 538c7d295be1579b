/**
 * The dashboard at `/`: its files, as text in this program, so that the binary carries them. They hold no secrets and are
 * open to everybody; what they show is asked for with the operator's token.
 */
import { createHash } from "node:crypto"
import type { Answer } from "./Answer.ts"
import app from "./dashboard/app.page.js" with { type: "text" }
import dialog from "./dashboard/dialog.page.js" with { type: "text" }
import dom from "./dashboard/dom.page.js" with { type: "text" }
import flow from "./dashboard/flow.page.js" with { type: "text" }
import index from "./dashboard/index.html" with { type: "text" }
import letters from "./dashboard/letters.page.js" with { type: "text" }
import panels from "./dashboard/panels.page.js" with { type: "text" }
import plot from "./dashboard/plot.page.js" with { type: "text" }
import series from "./dashboard/series.page.js" with { type: "text" }
import source from "./dashboard/source.page.js" with { type: "text" }
import style from "./dashboard/style.css" with { type: "text" }
import view from "./dashboard/view.page.js" with { type: "text" }
import type { RequestHead } from "./RequestHead.ts"

const types = { css: "text/css; charset=utf-8", html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8" }

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

interface File {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly etag: string
}

const file = (type: keyof typeof types, body: string): File => {
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`
  return {
    body,
    etag,
    headers: {
      "content-type": types[type],
      // Asked for each time, answered with 304 as long as it is the same: pages and scripts are always of one version.
      "cache-control": "no-cache",
      etag,
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer"
    }
  }
}

const scripts = { app, dialog, dom, flow, letters, panels, plot, series, source, view }

/** By path. */
const files = new Map<string, File>([
  ["/", file("html", index)],
  ["/dashboard/style.css", file("css", style)],
  ...Object.entries(scripts).map(([name, text]) => [`/dashboard/${name}.page.js`, file("js", text)] as const)
])

/** Where its files are. */
export const paths: ReadonlyArray<string> = Array.from(files.keys())

/** For `GET` and `HEAD`. Undefined: nothing of it is there. */
export const answer = (head: RequestHead): Answer | undefined => {
  const found = files.get(head.path)
  if (found === undefined) return undefined
  const { body, etag, headers } = found
  const known = head
    .header("if-none-match")
    ?.split(",")
    .some(tag => tag.trim().replace(/^W\//, "") === etag)
  return known === true ? { status: 304, headers, body: "" } : { status: 200, headers, body }
}
