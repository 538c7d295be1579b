// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import * as AppConfig from "../../src/AppConfig.ts"
import { bad, type Env, exampleText, machineText } from "./texts.ts"

/** Line 1 of the file below is what is faulty; line by line, what must be found in one run, and nothing else. */
interface Faulty {
  readonly what: string
  readonly text: string
  readonly env?: Env
  readonly found: ReadonlyArray<string>
}

const port = 'http.port: expected a whole number from 0 to 65535, found "x"'
const colon = "a key cannot hold a section or a list (is there a second colon on this line?)"
const unexpected = "this was not expected here (wrong indentation, or a text that needs quotes?)"

/** Each text comes third, behind a good pair of files. */
const faulty: ReadonlyArray<Faulty> = [
  {
    what: "a second colon, and values of the wrong type before and behind it",
    text: "buffer:\n  max_wait: soon\nbreaker:\n  window: 1s: 2s\n  probes: 0\nhttp:\n  port: x",
    found: [
      '2:13 buffer.max_wait: expected a duration such as 250ms, 1s, 2m or 1h30m, from 0s to 1h, found "soon"',
      `4:11 breaker: ${colon}`,
      "5:11 breaker.probes: expected a whole number from 1 to 100, found 0",
      `7:9 ${port}`
    ]
  },
  {
    what: "a quote that is not closed",
    text: "shutdown:\n  budget: '25s\nhttp:\n  port: x\n  host: 127.0.0.1",
    found: ["2:11 shutdown: this quote is not closed", `4:9 ${port}`]
  },
  {
    what: "a bracket that is not closed",
    text: "kafka:\n  connection:\n    default:\n      brokers: [a:1, b:2\n      idempotent: maybe\nhttp:\n  port: x",
    found: [
      "4:16 kafka.connection.default: this bracket is not closed",
      '5:19 kafka.connection.default.idempotent: expected true or false, found "maybe"',
      `7:9 ${port}`
    ]
  },
  {
    what: "a bracket too many",
    text: "buffer: { max_records: 1 } }\nhttp:\n  port: x",
    found: [`1:28 ${unexpected}`, `3:9 ${port}`]
  },
  {
    what: "a section in brackets over several lines, with a comma missing",
    text: "breaker: {\n  probes: 1\n  jitter: 0.1\n}\nhttp:\n  port: x",
    found: ['2:11 a key must be on one line (is a ":" missing here or on the line before?)', `6:9 ${port}`]
  },
  {
    what: "no space behind a colon",
    text: "buffer:\n  max_records:5\n  max_wait: 1\nhttp:\n  port: x",
    found: [
      '2:3 buffer: a key must be on one line (is a ":" missing here or on the line before?)',
      '3:13 buffer.max_wait: expected a duration such as 250ms, 1s, 2m or 1h30m, from 0s to 1h, found 1; add a unit: "1ms" or "1s"',
      `5:9 ${port}`
    ]
  },
  {
    what: "a line indented too little",
    text: "breaker:\n    probes: 1\n  jitter: 0.1\nhttp:\n  port: x",
    found: ["3:3 wrong indentation", `5:9 ${port}`]
  },
  {
    what: "a line indented too much",
    text: "breaker:\n  probes: 1\n    jitter: 0.1\n  factor: 0\nhttp:\n  port: x",
    found: [`2:11 breaker: ${colon}`, "4:11 breaker.factor: expected a number from 1 to 100, found 0", `6:9 ${port}`]
  },
  {
    what: "tabs beside spaces",
    text: "breaker:\n  probes: 1\n\tjitter: 0.1\n\tfactor: 0\nhttp:\n  port: x",
    found: ["3:1 a tab cannot indent: use spaces", "4:1 a tab cannot indent: use spaces", `6:9 ${port}`]
  },
  {
    what: "tabs everywhere: what they mean is checked all the same",
    text: "breaker:\n\tprobes: 0\nhttp:\n\tport: x",
    found: [
      "2:1 a tab cannot indent: use spaces",
      "2:10 breaker.probes: expected a whole number from 1 to 100, found 0",
      "4:1 a tab cannot indent: use spaces",
      `4:8 ${port}`
    ]
  },
  {
    what: "a key twice, with faults in both places",
    text: "http:\n  port: x\nbuffer: { max_records: 0 }\nhttp:\n  host: 5",
    found: [
      `2:9 ${port}`,
      "3:24 buffer.max_records: expected a whole number from 1 to 100000000, found 0",
      "4:1 http: this key is here twice, first in line 1",
      "5:9 http.host: expected a text, found 5; put it in quotes"
    ]
  },
  {
    what: "an alias without an anchor, a tag, an escape and a reserved character",
    text: 'http:\n  host: *nobody\n  max_body_bytes: !size 8MiB\n  token: "\\q"\n  port: x\nbuffer:\n  max_wait: @1s',
    found: [
      "2:9 http.host: this alias names no anchor written before it (quote a text that begins with *)",
      "3:19 http.max_body_bytes: YAML tags are not supported (quote a text that begins with !)",
      "4:11 http.token: unknown escape in a text in double quotes",
      `5:9 ${port}`,
      "7:13 buffer.max_wait: a plain text cannot begin like this: quote it"
    ]
  },
  {
    what: "a merge key that merges nothing",
    text: "breaker:\n  <<: 5\n  probes: 0\nhttp:\n  port: x",
    found: [
      "2:3 breaker: a << key wants an alias of a section, or a list of them",
      "3:11 breaker.probes: expected a whole number from 1 to 100, found 0",
      `5:9 ${port}`
    ]
  },
  {
    what: "a second document",
    text: "http:\n  port: x\n---\nbuffer:\n  max_records: 0",
    found: [`2:9 ${port}`, '3:1 a file holds one document: remove the "---" behind the first']
  },
  {
    what: "a key that is a list",
    text: "http:\n  [a, b]: 1\n  port: x",
    found: ["2:3 http: a key must be plain text", `3:9 ${port}`]
  },
  {
    what: "a section misspelt, with faults below it",
    text: "htpp:\n  prot: x\n  host: 0.0.0.0",
    found: [
      '1:1 htpp: unknown key; did you mean "http"?',
      "1:1 http.token: missing: 0.0.0.0 is reachable from other hosts, so every request must show a bearer token; set SPILLWAY_HTTP__TOKEN, http.tokens or http.clients, or listen on 127.0.0.1",
      '2:3 http.prot: unknown key; did you mean "port"?',
      `2:9 ${port}`
    ]
  },
  {
    what: "a required key misspelt is one fault",
    text: "stream:\n  output:\n    second:\n      topik: t",
    found: ['4:7 stream.output.second.topik: unknown key; did you mean "topic"?']
  },
  {
    what: "an unknown key beside the one that is meant",
    text: "http:\n  port: 1\n  prot: 2",
    found: ['3:3 http.prot: unknown key; did you mean "port"?']
  },
  {
    what: "a name that is none, with faults below it",
    text: "stream:\n  output:\n    a b:\n      topic: t\n      batch_size: x",
    found: [
      "3:5 stream.output.a…: a name is made of letters, digits, dots, underscores and hyphens",
      '5:19 stream.output.a….batch_size: expected a whole number from 1 to 1000000, found "x"'
    ]
  },
  {
    what: "sections that are none",
    text: "http: 8080\nstream:\n  output: [a]\nbuffer: yes",
    found: [
      "1:7 http: expected a section with keys, found a number",
      "3:3 stream.output: expected a section of names, found a list",
      "4:9 buffer: expected a section with keys, found a text that is not shown"
    ]
  },
  {
    what: "a wrong type hides no rule that does not need it",
    text: "breaker:\n  open_min: 40s\n  probes: many\nstream:\n  output:\n    example_output:\n      idle_timeout: 3s\n      batch_size: 0",
    found: [
      "2:13 breaker.open_min: must not be longer than open_max (30s), found 40s",
      '3:11 breaker.probes: expected a whole number from 1 to 100, found "many"',
      "7:21 stream.output.example_output.idle_timeout: must not be longer than write_timeout (1s), found 3s",
      "8:19 stream.output.example_output.batch_size: expected a whole number from 1 to 1000000, found 0"
    ]
  },
  {
    what: "what cannot be read hides no rule that does not need it, and breaks none that does",
    text: "breaker:\n  open_min: 40s\nstream:\n  output:\n    example_output:\n      write_timeout: 5s: x\n      idle_timeout: 3s\nshutdown:\n  budget: 1100ms",
    found: [
      "2:13 breaker.open_min: must not be longer than open_max (30s), found 40s",
      `6:22 stream.output.example_output: ${colon}`
    ]
  },
  {
    what: "what breaks one rule is held against the others",
    text: "stream:\n  output:\n    example_output:\n      write_timeout: 30s\n    slower:\n      topic: t\n      write_timeout: 40s\n  producer:\n    example_producer:\n      retry:\n        visibility_timeout: 1500ms\nhttp:\n  request_timeout: 5s\nbreaker:\n  slow_call: 1m",
    found: [
      "4:22 stream.output.example_output.write_timeout: must be shorter than shutdown.budget (25s), found 30s",
      "7:22 stream.output.slower.write_timeout: must be shorter than shutdown.budget (25s), found 40s",
      "11:29 stream.producer.example_producer.retry.visibility_timeout: SQS counts whole seconds, found 1s500ms",
      "11:29 stream.producer.example_producer.retry.visibility_timeout: must be longer than write_timeout of output example_output (30s), found 1s500ms: a message would be received again while its records are on their way",
      "13:20 http.request_timeout: must be longer than buffer.max_wait, write_timeout of output example_output and the fallback's budget together (42s), found 5s",
      "15:14 breaker.slow_call: must be shorter than write_timeout of output example_output (30s), which ends slower calls; found 1m"
    ]
  },
  {
    what: "names of nothing",
    text: "stream:\n  output:\n    example_output:\n      connection: defualt\n  producer:\n    example_producer:\n      output: exmple_output\n      retry:\n        client_name: other",
    found: [
      '4:19 stream.output.example_output.connection: there is no kafka.connection.defualt: known are default; did you mean "default"?',
      '7:15 stream.producer.example_producer.output: there is no stream.output.exmple_output: known are example_output; did you mean "example_output"?',
      "9:22 stream.producer.example_producer.retry.client_name: there is no cloud.aws.sqs.clients.other: known are default"
    ]
  },
  {
    what: "a name that may stand where nothing could be read is not missing",
    text: "kafka:\n  connection:\n    second: : {\nstream:\n  output:\n    example_output:\n      connection: second\nhttp:\n  port: x",
    found: [`3:13 kafka.connection: ${colon}`, `9:9 ${port}`]
  },
  {
    what: "SASL without what it needs, and with what it does not use",
    text: "kafka:\n  connection:\n    default:\n      sasl:\n        mechanism: plain\n        token: t\n        username: u\n      tls:\n        cert_file: c.pem",
    found: [
      "4:7 kafka.connection.default.sasl.password: missing, expected a text, as mechanism plain needs it",
      "6:16 kafka.connection.default.sasl.token: mechanism plain does not use it",
      "8:7 kafka.connection.default.tls.key_file: missing, expected both cert_file and key_file, or neither",
      "9:20 kafka.connection.default.tls.cert_file: the file cannot be read: no such file"
    ]
  },
  {
    what: "unset variables, all of them",
    text: 'http:\n  host: "${HOST}"\n  port: "${PORT}"\nkafka:\n  connection:\n    default:\n      brokers: "${A}:${B},${A}:1"\nbuffer:\n  max_wait: "${9}"',
    found: [
      "2:9 http.host: the environment variable HOST is not set; set it, or write ${HOST:-default}",
      "3:9 http.port: the environment variable PORT is not set; set it, or write ${PORT:-default}",
      "7:16 kafka.connection.default.brokers: the environment variables A and B are not set; set them, or write ${A:-default}",
      "9:13 buffer.max_wait: ${ begins a variable, expected ${NAME} or ${NAME:-default} (write $${ for a plain ${)"
    ]
  },
  {
    what: "variables that override wrongly beside a file that is wrong",
    text: "buffer:\n  max_records: 0\nhttp: { port: 1: 2 }",
    env: { SPILLWAY_HTTP__PRT: "1", SPILLWAY_HTTP__HOST__X: "1", SPILLWAY_BREAKER__PROBES: "x", SPILLWAY_KAFKA: "a" },
    found: [
      "2:16 buffer.max_records: expected a whole number from 1 to 100000000, found 0",
      "3:15 inside [ ] or { } everything must be written with brackets and commas",
      "SPILLWAY_HTTP__HOST__X goes on below http.host, which has no keys",
      'SPILLWAY_HTTP__PRT names no key of the configuration; did you mean "SPILLWAY_HTTP__PORT"?',
      "SPILLWAY_KAFKA names no key of the configuration; levels are separated by two underscores, as in SPILLWAY_HTTP__PORT",
      'SPILLWAY_BREAKER__PROBES breaker.probes: expected a whole number from 1 to 100, found "x"'
    ]
  },
  {
    what: "addresses, every wrong one",
    text: "kafka:\n  connection:\n    default:\n      brokers:\n        - a\n        - b:9092\n        - c:0\n        - 7",
    found: [
      '5:11 kafka.connection.default.brokers.0: expected host:port, found "a"; did you mean "a:9092"?',
      '7:11 kafka.connection.default.brokers.2: expected host:port, found "c:0"',
      "8:11 kafka.connection.default.brokers.3: expected host:port, found 7"
    ]
  },
  {
    what: "queues that are none, or are one another's",
    text: "stream:\n  output:\n    second:\n      topic: t2\n  producer:\n    example_producer:\n      retry:\n        visibility_timeout: 1500ms\n        dead_letter_queue_id: example-sqs-queue-name\n    second:\n      output: second\n      retry:\n        queue_id: no queue",
    found: [
      "8:29 stream.producer.example_producer.retry.visibility_timeout: SQS counts whole seconds, found 1s500ms",
      "9:31 stream.producer.example_producer.retry.dead_letter_queue_id: is the queue of queue_id: dead letters need a queue of their own",
      '13:19 stream.producer.second.retry.queue_id: "no queue" is not a queue name: 1 to 80 letters, digits, hyphens and underscores'
    ]
  },
  {
    what: "a list at the top",
    text: "- http:\n    port: x",
    found: ["1:1 expected keys such as stream: and kafka: at the top"]
  },
  {
    what: "no YAML at all",
    text: "{{{",
    found: ["1:1 this bracket is not closed"]
  }
]

/** `line:column path: message`, or the variable in the place of line and column. */
const found = ({ env, text }: Faulty): ReadonlyArray<string> =>
  bad([exampleText, machineText, text], env).issues.map(issue => {
    if (issue.variable === undefined) assert.equal(issue.file, "c.yaml")
    return AppConfig.renderIssue(issue).replace(/^(c\.yaml:|environment )(\S+) {2}/, "$2 ")
  })

describe("faulty files, every fault found in one run", () => {
  for (const one of faulty) test(one.what, () => assert.deepEqual(found(one), one.found))
})

describe("wherever a line is broken, that alone is reported, and what stands behind it is read", () => {
  const lines = [...`${exampleText}${machineText}`.trimEnd().split("\n"), "http:", "  port: x"]
  const breaks: ReadonlyArray<readonly [what: string, change: (line: string, before: string) => string]> = [
    ["a second colon", line => `${line} x: y`],
    ["an open quote", line => line.replace(/: (.+)$/, ": '$1")],
    ["an open double quote", line => line.replace(/: (.+)$/, ': "$1')],
    ["an open bracket", line => line.replace(/: (\w+)$/, ": [$1")],
    ["an open brace", line => line.replace(/: (\w+)$/, ": {$1")],
    ["a bracket too many", line => line.replace(/: (\w+)$/, ": ]$1")],
    ["no colon", line => line.replace(/: (.+)$/, " $1")],
    // Alone in its section a line may be indented as it likes.
    [
      "too little indentation",
      (line, before) => (/^ +/.exec(line)?.[0] === /^ +/.exec(before)?.[0] ? line.replace(" ", "") : line)
    ],
    ["too much indentation", line => line.replace(/^ {6,}(?!brokers|region)(?=\S+: )/, indent => `${indent} `)],
    ["a tab", line => line.replace(/^ +/, "\t")],
    ["an unknown tag", line => line.replace(/: (\w+)$/, ": !x $1")],
    ["a text behind a quote", line => line.replace(/: (\w+)$/, ': "$1" x')]
  ]
  for (const [what, change] of breaks) {
    test(what, () => {
      let broken = 0
      for (const [index, line] of lines.slice(0, -2).entries()) {
        const changed = change(line, lines[index - 1] ?? "")
        if (changed === line) continue
        broken += 1
        const text = lines.with(index, changed).join("\n")
        const found = bad([text]).issues.map(AppConfig.renderIssue)
        assert.equal(found.length, 2, `${changed}\n${found.join("\n")}`)
        const [, place] = /^a\.yaml:(\d+):/.exec(found[0] ?? "") ?? []
        // Indented too much, a line goes on with the one before, or the one behind it does not fit.
        assert.ok(Math.abs(Number(place) - (index + 1)) <= 1, `${found[0]}`)
        assert.equal(found[1], `a.yaml:${lines.length}:9  ${port}`)
      }
      assert.ok(broken > 5)
    })
  }
})
