import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { judge } from "../../../scripts/chaos/judge.ts"
import { flag, Ledger, Ledgers, type Standing } from "../../../scripts/chaos/Ledger.ts"

const nothing = { divertedUnknown: 0, replayUnknown: 0, storedTwice: 0 }

/** A ledger with one record. */
const one = (fate: Exclude<Standing, "pending">, copies: number, ...flags: ReadonlyArray<number>): Ledger => {
  const ledger = new Ledger("h", "topic")
  const number = ledger.issue(0)
  ledger.answered(number, { fate }, 5)
  for (let i = 0; i < copies; i++) ledger.found(number)
  for (const bit of flags) ledger.mark(number, bit)
  return ledger
}

describe("the judgement", () => {
  it("calls lost what was answered as durable and is nowhere", () => {
    for (const fate of ["delivered", "diverted", "spooled"] as const) {
      assert.equal(judge([one(fate, 0)], nothing).lost.length, 1)
      assert.equal(judge([one(fate, 1)], nothing).lost.length, 0)
      assert.equal(judge([one(fate, 0, flag.dead)], nothing).lost.length, 0)
      assert.equal(judge([one(fate, 0, flag.waiting)], nothing).lost.length, 0)
    }
    assert.match(judge([one("diverted", 0, flag.parked)], nothing).lost[0] ?? "", /^h-0: .*diverted.*parked/)
  })

  it("does not call lost what was refused or never answered", () => {
    assert.equal(judge([one("refused", 0)], nothing).lost.length, 0)
    assert.equal(judge([one("rejected", 0)], nothing).lost.length, 0)
    const silent = new Ledger("h", "topic")
    silent.issue(0)
    assert.equal(judge([silent], nothing).lost.length, 0)
  })

  it("excuses only what was sent before its topic was deleted", () => {
    const ledger = one("delivered", 0)
    ledger.excusedBelow = 1
    const later = ledger.issue(1)
    ledger.answered(later, { fate: "delivered" }, 5)
    const { goneWithTopic, lost } = judge([ledger], nothing)
    assert.equal(goneWithTopic, 1)
    assert.equal(lost.length, 1)
  })

  it("explains one copy by each thing that was seen of the record", () => {
    for (const bit of [flag.unknown, flag.storedTwice, flag.held]) {
      const { duplicated, unexplained } = judge([one("diverted", 2, flag.parked, bit)], nothing)
      assert.equal(duplicated, 1)
      assert.equal(unexplained.length, 0)
      assert.equal(judge([one("diverted", 3, flag.parked, bit)], nothing).unexplained.length, 1)
    }
    assert.equal(judge([one("diverted", 3, flag.parked, flag.unknown, flag.held)], nothing).unexplained.length, 0)
    const stored = one("diverted", 3, flag.parked, flag.storedTwice)
    assert.equal(judge([stored], { ...nothing, storedTwice: 2 }).unexplained.length, 0)
    assert.equal(judge([stored], { ...nothing, storedTwice: 1 }).unexplained.length, 1)
  })

  it("explains by the counters no more than they counted", () => {
    const again = () => one("diverted", 2, flag.parked, flag.receivedAgain)
    assert.equal(judge([again(), again()], { ...nothing, replayUnknown: 2 }).unexplained.length, 0)
    assert.equal(judge([again(), again()], { ...nothing, replayUnknown: 1 }).unexplained.length, 1)
    const retried = () => one("diverted", 2, flag.parked)
    assert.equal(judge([retried()], { ...nothing, divertedUnknown: 1 }).unexplained.length, 0)
    assert.equal(judge([retried()], { ...nothing, replayUnknown: 1 }).unexplained.length, 1)
    // It was parked as unknown, and came back more than once besides.
    assert.equal(judge([again()], { ...nothing, divertedUnknown: 1 }).unexplained.length, 0)
    assert.equal(judge([again(), retried()], { ...nothing, divertedUnknown: 1 }).unexplained.length, 1)
    assert.equal(judge([again(), again()], { ...nothing, divertedUnknown: 1, replayUnknown: 1 }).unexplained.length, 0)
    // Those records of the counter that were seen have used it up.
    const seen = one("diverted", 1, flag.parked, flag.unknown)
    assert.equal(judge([seen, retried()], { ...nothing, divertedUnknown: 1 }).unexplained.length, 1)
  })

  it("explains each copy of a record by one count", () => {
    const thrice = one("diverted", 3, flag.parked)
    assert.equal(judge([thrice], { ...nothing, divertedUnknown: 2 }).unexplained.length, 0)
    assert.equal(judge([thrice], { ...nothing, divertedUnknown: 1 }).unexplained.length, 1)
  })

  it("explains copies out of the spool, which no witness sees, by the counters", () => {
    const spooled = () => one("spooled", 2)
    assert.equal(judge([spooled()], nothing).unexplained.length, 1)
    assert.equal(judge([spooled(), spooled()], { ...nothing, divertedUnknown: 1 }).unexplained.length, 1)
    assert.equal(
      judge([spooled(), spooled()], { ...nothing, replayUnknown: 1, divertedUnknown: 1 }).unexplained.length,
      0
    )
    // What was never in the queue cannot be there twice.
    assert.equal(judge([spooled()], { ...nothing, storedTwice: 1 }).unexplained.length, 1)
    const also = () => one("spooled", 2, flag.parked)
    assert.equal(judge([also()], { ...nothing, storedTwice: 1 }).unexplained.length, 0)
    assert.equal(judge([also(), spooled()], { ...nothing, storedTwice: 1, replayUnknown: 1 }).unexplained.length, 0)
    assert.equal(judge([one("diverted", 2, flag.parked)], { ...nothing, storedTwice: 1 }).unexplained.length, 1)
    // The answer was lost with the process; the record may have been spooled.
    assert.equal(judge([one("refused", 2)], { ...nothing, divertedUnknown: 1 }).unexplained.length, 0)
    assert.equal(judge([one("refused", 2)], nothing).unexplained.length, 1)
  })

  it("explains no copy of a record that was delivered and never parked, whatever the counters say", () => {
    const counters = { divertedUnknown: 100, replayUnknown: 100, storedTwice: 100 }
    assert.equal(judge([one("delivered", 2)], counters).unexplained.length, 1)
  })
})

describe("the ledger", () => {
  it("keeps what it knows while it grows", () => {
    const ledger = new Ledger("h", "topic")
    for (let i = 0; i < 5000; i++) {
      const number = ledger.issue(i)
      ledger.answered(number, { fate: "delivered", partition: i % 7, offset: i * 1000 }, i)
      if (i % 3 === 0) ledger.mark(number, flag.parked)
      ledger.found(number)
    }
    for (let i = 0; i < 5000; i++) {
      assert.deepEqual(ledger.place(i), { partition: i % 7, offset: i * 1000 })
      assert.equal(ledger.has(i, flag.parked), i % 3 === 0)
      assert.equal(ledger.copies(i), 1)
      assert.equal(ledger.standing(i), "delivered")
    }
  })

  it("knows its ids from others", () => {
    const [h, l] = [new Ledger("h", "a"), new Ledger("l", "b")]
    const ledgers = new Ledgers([h, l])
    assert.equal(ledgers.find("x-1"), undefined)
    assert.equal(ledgers.find("h-one"), undefined)
    assert.deepEqual(ledgers.find("l-2"), { ledger: l, number: 2 })
    assert.equal(l.count, 3)
  })
})
