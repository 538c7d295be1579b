import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { diagnose } from "../../../src/internal/doctor/diagnose.ts"
import { renderText, toJson } from "../../../src/internal/doctor/render.ts"
import { withSettings } from "./evidence.ts"

const report = { results: diagnose(withSettings({ "min.insync.replicas": "1" })), reachedNothing: false }
const escape = "\u001b["

describe("the report", () => {
  it("says what, why and how to mend it, and counts what is fine", () => {
    const text = renderText(report, { colour: false, verbose: false })
    assert.match(text, /^topics {2}\d+ ok$/m)
    assert.match(text, /^ {2}error topic events: min\.insync\.replicas 1 with .* \[min-insync-replicas\]$/m)
    assert.match(text, /^ {6}why: acks=all waits for the replicas in sync only/m)
    assert.match(text, /^ {6}fix: kafka-configs\.sh .*min\.insync\.replicas=2$/m)
    assert.match(text, /^1 error, 0 warnings, 0 unchecked, 0 for information, \d+ ok$/m)
    assert.doesNotMatch(text, /^ {2}ok /m)
    assert.equal(text.includes(escape), false)
  })

  it("has a line for what is fine when asked, and colour when asked", () => {
    const text = renderText(report, { colour: true, verbose: true })
    const fine = report.results.filter(({ severity }) => severity === "ok").length
    assert.equal(text.split("\n").filter(line => line.includes(`${escape}32mok`)).length, fine)
    assert.ok(text.includes(`${escape}31merror`))
  })

  it("is one JSON document with the same in it", () => {
    const document: unknown = JSON.parse(toJson(report))
    assert.ok(typeof document === "object" && document !== null && "findings" in document && "summary" in document)
    const fine = report.results.filter(({ severity }) => severity === "ok").length
    assert.deepEqual(document.summary, { errors: 1, warnings: 0, unchecked: 0, information: 0, ok: fine })
    assert.ok(Array.isArray(document.findings))
    const [finding] = document.findings
    assert.deepEqual(Object.keys(finding).sort(), ["code", "fix", "group", "severity", "subject", "what", "why"])
    assert.equal(finding.code, "min-insync-replicas")
  })

  it("says when nothing could be reached", () => {
    const text = renderText({ ...report, reachedNothing: true }, { colour: false, verbose: false })
    assert.match(text, /could be reached\.\n$/)
    assert.match(toJson({ ...report, reachedNothing: true }), /"reached": false/)
  })
})
