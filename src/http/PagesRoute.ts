/**
 * What is read with `GET`: probes, metrics, status, its history and its events, the
 * description of the API, the dashboard's files.
 */
import type { Health } from "../Health.ts"
import { prometheusText } from "../internal/prometheusText.ts"
import type { WorkerReport } from "../internal/workerReports.ts"
import * as Workers from "../internal/workerReports.ts"
import * as Metrics from "../Metrics.ts"
import type { Service as Spillway } from "../Spillway.ts"
import * as Answer from "./Answer.ts"
import * as Dashboard from "./Dashboard.ts"
import { document } from "./openApi/document.ts"
import type { RequestHead } from "./RequestHead.ts"
import type { Call, Route } from "./Route.ts"
import type * as StatusEvents from "./StatusEvents.ts"
import type { StatusHistory } from "./StatusHistory.ts"
import { statusJson } from "./statusJson.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "status">
  /** Undefined: it is not there. */
  readonly history: StatusHistory | undefined
  readonly events: Pick<ReturnType<typeof StatusEvents.make>, "stream">
  readonly refuse: Answer.Refuse
  /** This process's readiness. */
  readonly health: () => Health
  /** Undefined: no other process serves the port. */
  readonly workers: (() => Promise<ReadonlyArray<WorkerReport>>) | undefined
}

const noStore = { "cache-control": "no-store" }
const metrics: Call["allows"] = access => access.metrics
const status: Call["allows"] = access => access.metrics || access.operator

let openApiText: string | undefined

const openApi = (): Answer.Answer => {
  openApiText ??= JSON.stringify(document)
  return Answer.json(200, openApiText)
}

export const make = ({ events, health, history, refuse, spillway, workers }: Options): Route => {
  const page = (
    allows: Call["allows"],
    answer: (head: RequestHead) => Answer.Answer | Promise<Answer.Answer>,
    methods: ReadonlyArray<string> = ["GET", "HEAD"]
  ): Call => ({
    methods,
    allows,
    denial: "this token or certificate does not allow metrics",
    intake: false,
    refuse,
    open: (head, respond) => {
      const given = answer(head)
      if (given instanceof Promise) void given.then(respond)
      else respond(given)
      return undefined
    }
  })

  const readyAnswer = (judged: Health): Answer.Answer =>
    Answer.json(judged.readiness === "refusing" ? 503 : 200, JSON.stringify(judged))
  const ready = () =>
    workers === undefined ? readyAnswer(health()) : workers().then(all => readyAnswer(Workers.healthOf(all)))
  const expositionAnswer = (body: string): Answer.Answer => ({
    status: 200,
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    body
  })
  const exposition = () =>
    workers === undefined
      ? expositionAnswer(Metrics.render(spillway.status()))
      : workers().then(all => expositionAnswer(prometheusText(Workers.familiesOf(all))))
  const stream = (head: RequestHead): Answer.Answer => {
    const body = events.stream(head.header("last-event-id"))
    if (body === undefined) return refuse("Overloaded", "as many event streams are open as may be")
    return { status: 200, headers: { "content-type": "text/event-stream", ...noStore }, body }
  }
  const file = (head: RequestHead): Answer.Answer =>
    Dashboard.answer(head) ?? refuse("NotFound", `nothing is at ${head.path}`)

  const pages = new Map<string, Call>([
    ...Dashboard.paths.map(path => [path, page(undefined, file)] as const),
    ["/healthz", page(undefined, () => Answer.json(200, '{"status":"alive"}'))],
    ["/readyz", page(undefined, ready)],
    ["/openapi.json", page(undefined, openApi)],
    ["/metrics", page(metrics, exposition)],
    ["/v1/status", page(status, () => Answer.json(200, statusJson(spillway.status()), noStore))],
    ["/v1/status/events", page(status, stream, ["GET"])]
  ])
  if (history !== undefined) {
    const past = () => Answer.json(200, JSON.stringify({ now: Date.now(), ...history.read() }), noStore)
    pages.set("/v1/status/history", page(status, past))
  }
  return path => pages.get(path)
}
