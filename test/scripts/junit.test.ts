import assert from "node:assert/strict"
import { test } from "node:test"
import { countTests } from "../../scripts/junit.mjs"

const bun = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" failures="1" skipped="1">
  <testsuite name="a.test.ts" file="a.test.ts" tests="4" failures="1" skipped="1">
    <testsuite name="outer &lt;&amp;&gt;" tests="3">
      <testcase name="passes" classname="outer &lt;&amp;&gt;" time="0.1" />
      <testcase name="fails > here" classname="outer" time="0.1">
        <failure type="AssertionError" message="1 &quot;!==&quot; 2&#10;&#10;more">AssertionError: 1 !== 2</failure>
      </testcase>
      <testcase name="skipped" classname="outer" time="0">
        <skipped />
      </testcase>
    </testsuite>
    <testcase name="top" classname="" time="0" />
  </testsuite>
</testsuites>`

test("Bun's report: suites are not tests", () => {
  assert.deepEqual(countTests(bun), {
    passed: 2,
    skipped: 1,
    failures: [{ name: "fails > here", message: '1 "!==" 2' }]
  })
})

const deno = (suite: string, member: string) => `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="3" failures="2" errors="0" time="0.013">
    <testsuite name="a.test.ts" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="outer" classname="a.test.ts" time="0.008" line="3" col="1">
            ${suite}
        </testcase>
        <testcase name="top" classname="a.test.ts" time="0.000" line="10" col="1">
        </testcase>
    </testsuite>
    <testsuite name="ext:deno_node/testing.ts" tests="1" disabled="0" errors="0" failures="1">
        <testcase name="outer &gt; inner" classname="ext:deno_node/testing.ts" time="0.001">
            ${member}
        </testcase>
    </testsuite>
</testsuites>`

const failure = '<failure message="broken">broken</failure>'

test("Deno's report: a suite that failed through a member counts once", () => {
  assert.deepEqual(countTests(deno('<failure message="1 test step failed">x</failure>', failure)), {
    passed: 1,
    skipped: 0,
    failures: [{ name: "outer > inner", message: "broken" }]
  })
})

test("Deno's report: a suite that failed by itself counts", () => {
  assert.deepEqual(countTests(deno(failure, "")), {
    passed: 2,
    skipped: 0,
    failures: [{ name: "outer", message: "broken" }]
  })
})

test("Deno's report: skipped and passed members", () => {
  assert.deepEqual(countTests(deno("", "<skipped/>")), { passed: 1, skipped: 1, failures: [] })
})

test("nothing ran", () => {
  assert.deepEqual(countTests('<testsuites name="deno test" tests="0"></testsuites>'), {
    passed: 0,
    skipped: 0,
    failures: []
  })
})
