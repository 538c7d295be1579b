import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import { parse } from "yaml"
import * as Metrics from "../src/Metrics.ts"
import { advance, harness, onTestClock } from "./support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "./support/Guard.ts"
import { missing, promtool } from "./support/Promtool.ts"
import { root } from "./support/RunningService.ts"

const directory = temporaryDirectory("monitoring")
after(() => deleteDirectory(directory))

const read = (path: string): string => readFileSync(join(root, path), "utf8")
const alertsFile = "config/monitoring/prometheus-alerts.yaml"
const dashboard = read("config/monitoring/grafana-dashboard.json")
const alarms = read("config/monitoring/cloudwatch-alarms.yaml")

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly annotations: Readonly<Record<string, string>>
}
const alerts: ReadonlyArray<Alert> = parse(read(alertsFile)).groups.flatMap(
  ({ rules }: { readonly rules: ReadonlyArray<Alert> }) => rules
)

/** Every metric there is, as it is scraped, by a runtime that has everything a configuration can ask for. */
const scraped: Promise<string> = onTestClock(
  Effect.gen(function* () {
    const h = yield* harness({
      retry: "after: 1s, backlog: { max_messages: 1000 }",
      more: `
spool: { path: ${join(directory, "spool.sqlite")} }
telemetry: { otlp: { endpoint: "http://127.0.0.1:1" } }
`
    })
    yield* advance(40)
    const status = h.spillway.status()
    const [connection] = status.connections
    const [fallback] = connection?.fallbacks ?? []
    assert.ok(connection !== undefined && fallback !== undefined)
    // Reasons come with the first dead letter.
    const replay = { ...fallback.replay, deadLetters: { MAX_ATTEMPTS: 1 } }
    return Metrics.render({ ...status, connections: [{ ...connection, fallbacks: [{ ...fallback, replay }] }] })
  })
)

/** Names of series, as queries use them. */
const seriesNames = async (): Promise<ReadonlySet<string>> =>
  new Set([...(await scraped).matchAll(/^([a-zA-Z_:][\w:]*)(?=[{ ])/gm)].map(([, name]) => name ?? ""))

const metricsIn = (text: string): ReadonlyArray<string> => text.match(/\b(?:spillway|process)_[a-z_]+/g) ?? []

const labelsIn = (text: string): ReadonlyArray<readonly [metric: string, label: string]> =>
  [...text.matchAll(/\b((?:spillway|process)_[a-z_]+)\{([^}]*)\}/g)].flatMap(([, metric = "", inner = ""]) =>
    [...inner.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => [metric, label] as const)
  )

/** Labels that Prometheus adds. */
const added = ["job", "instance"]

describe("the dashboard and the alerts", () => {
  const queries: ReadonlyArray<string> = JSON.parse(dashboard).panels.flatMap(
    ({ targets = [] }: { readonly targets?: ReadonlyArray<{ readonly expr: string }> }) =>
      targets.map(({ expr }) => expr)
  )
  const all = [...queries, ...alerts.map(({ expr }) => expr)]

  it("ask for metrics that there are, by labels they have", async () => {
    const names = await seriesNames()
    const text = await scraped
    assert.ok(queries.length > 30 && alerts.length > 10)
    for (const query of all) {
      const used = metricsIn(query)
      assert.ok(used.length > 0, query)
      for (const name of used) assert.ok(names.has(name), `${name} in ${query}`)
      for (const [name, label] of labelsIn(query)) {
        const has = added.includes(label) || new RegExp(`^${name}\\{[^}]*\\b${label}="`, "m").test(text)
        assert.ok(has, `${name} has no label ${label}: ${query}`)
      }
    }
  })

  it("ask for label values that there are", async () => {
    const text = await scraped
    for (const query of all) {
      for (const [, name, label, value] of query.matchAll(
        /(spillway_\w+)\{[^}]*?(state|readiness|outcome)!?="(\w[\w-]*)"/g
      )) {
        assert.match(text, new RegExp(`^${name}\\{[^}]*${label}="${value}"`, "m"), query)
      }
    }
  })
})

it("every metric is explained, and every explained one is there", async () => {
  const explained = [...read("docs/operations/metrics.md").matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  const there = [...(await scraped).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name)
  assert.deepEqual(explained, there)
})

describe("each alert", () => {
  it("says what happened and names a runbook that exists", () => {
    for (const { alert, annotations } of alerts) {
      assert.ok(annotations.summary && annotations.description, alert)
      const { runbook = "" } = annotations
      assert.match(runbook, /^docs\/operations\/.*\.md$/, alert)
      assert.ok(existsSync(join(root, runbook)), `${alert}: ${runbook}`)
      const page = read(runbook)
      for (const part of ["**Means.**", "## Look", "## Do\n", "## Do not"])
        assert.ok(page.includes(part), `${runbook}: ${part}`)
      assert.ok(read("docs/operations/runbooks/README.md").includes(`\`${alert}\``), alert)
    }
  })

  it("is one promtool takes", { skip: missing }, () => {
    const { content, said } = promtool(["check", "rules", join(root, alertsFile)])
    assert.ok(content, said)
  })

  it("comes when it should, and not before", { skip: missing }, () => {
    const { content, said } = promtool(["test", "rules", join(root, "test/support/alerts.test.yaml")])
    assert.ok(content, said)
  })
})

describe("the CloudWatch alarms", () => {
  const names = ["DeadLetters", "OldestMessage", "OldestMessageCritical", "OldestDeadLetter"]
  const tags = ["!Ref"].map(tag => ({ tag, resolve: (text: string) => ({ Ref: text }) }))
  const template = parse(alarms, { customTags: tags })

  it("watch the two queues by what SQS says of them", () => {
    assert.deepEqual(Object.keys(template.Resources), names)
    const known = ["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"]
    for (const name of names) {
      const { Properties: alarm, Type } = template.Resources[name]
      assert.equal(Type, "AWS::CloudWatch::Alarm")
      assert.equal(alarm.Namespace, "AWS/SQS")
      assert.ok(known.includes(alarm.MetricName))
      assert.equal(alarm.Dimensions[0].Name, "QueueName")
      const { Ref } = alarm.Dimensions[0].Value
      assert.equal(Ref, /Dead/.test(name) ? "DeadLetterQueueName" : "QueueName")
      assert.ok(Object.keys(template.Parameters).includes(Ref))
      const [, runbook = ""] = /Runbook: (\S+)$/.exec(alarm.AlarmDescription) ?? []
      assert.ok(runbook !== "" && existsSync(join(root, runbook)), runbook)
    }
  })
})
