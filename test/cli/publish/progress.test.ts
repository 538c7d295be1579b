import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { line, start } from "../../../src/cli/publish/progress.ts"

const totals = { records: 1500, delivered: 1400, diverted: 0, spooled: 0, rejected: 100, failed: 0 }

describe("progress", () => {
  it("says how far, how fast, and what is not as it should be", () => {
    assert.equal(
      line(totals, 0.5, 2),
      "[##########----------]  50%  1,500 records, 750/s: 1,400 delivered, 100 rejected"
    )
    assert.equal(line(totals, undefined, 2), "1,500 records, 750/s: 1,400 delivered, 100 rejected")
    assert.equal(line({ ...totals, records: 0, rejected: 0 }, 1.2, 0).slice(0, 28), "[####################] 100% ")
  })

  it("is drawn on terminals only, within their width", () => {
    for (const isTTY of [true, false]) {
      let written = ""
      const terminal = {
        isTTY,
        columns: 10,
        write: (text: string) => {
          written += text
        }
      }
      const progress = start(terminal, () => "a long line of progress")
      progress.say("said")
      progress.end()
      assert.equal(written, isTTY ? "\r\u001b[Ka long li\r\u001b[Ksaid\n\r\u001b[Ka long li\r\u001b[K" : "said\n")
    }
  })
})
