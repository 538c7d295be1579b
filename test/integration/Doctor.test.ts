import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Doctor from "../../src/Doctor.ts"
import { SqsProxy } from "../../src/testing/SqsProxy.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { RunningService } from "../support/RunningService.ts"

const days = (count: number) => String(count * 86_400)
const daysMs = (count: number) => String(count * 86_400_000)

/** In front of SQS and S3: a clock ten minutes ahead, or an S3 that denies whatever begins so. */
const startFront = async (
  upstream: string,
  { aheadMs = 0, denies = () => false }: { readonly aheadMs?: number; readonly denies?: (call: string) => boolean }
): Promise<{ readonly endpoint: string; readonly server: Server }> => {
  const server = createServer((request, response) => {
    const forward = async () => {
      const { method = "GET", url = "/" } = request
      const date = new Date(Date.now() + aheadMs).toUTCString()
      if (denies(`${method} ${url}`)) {
        response.writeHead(403, { "content-type": "application/xml", date })
        response.end("<Error><Code>AccessDenied</Code><Message>not by you</Message></Error>")
        return
      }
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      const kept = Object.entries(request.headers).filter(([name]) => /^(content-type|x-amz)/.test(name))
      const headers = Object.fromEntries(kept.map(([name, value]) => [name, String(value)]))
      const body = chunks.length === 0 ? null : new Uint8Array(Buffer.concat(chunks))
      const answer = await fetch(`${upstream}${url}`, { method, headers, body })
      const text = await answer.text()
      const type = answer.headers.get("content-type") ?? "application/xml"
      const etag = answer.headers.get("etag")
      response.writeHead(answer.status, { "content-type": type, date, ...(etag === null ? {} : { etag }) })
      response.end(text)
    }
    forward().catch(() => response.destroy())
  })
  const port = await new Promise<number>(resolve => {
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })
  return { endpoint: `http://127.0.0.1:${port}`, server }
}

let kafka: Kafka.KafkaCluster
let aws: Fauxqs.Fauxqs
let proxy: SqsProxy
let shifted: Awaited<ReturnType<typeof startFront>>
let denying: Awaited<ReturnType<typeof startFront>>
const directory = temporaryDirectory("doctor")

const alice = { mechanism: "PLAIN", username: "alice", password: "secret" } as const

const good = { "retention.ms": daysMs(30), "max.message.bytes": "2097152" }

const deny = JSON.stringify({
  Statement: [{ Effect: "Deny", Principal: "*", Action: ["sqs:PurgeQueue", "sqs:DeleteQueue"], Resource: "*" }]
})

const createQueue = (name: string, more: Readonly<Record<string, string>> = {}) =>
  aws.createQueue(name, {
    MessageRetentionPeriod: days(14),
    MaximumMessageSize: "1048576",
    SqsManagedSseEnabled: "true",
    Policy: deny,
    ...more
  })

const redriveTo = (name: string, maxReceiveCount: number) => ({
  RedrivePolicy: JSON.stringify({ deadLetterTargetArn: `arn:aws:sqs:us-east-1:000000000000:${name}`, maxReceiveCount })
})

const createBucket = async (name: string, expireDays: number) => {
  aws.server().createBucket(name)
  const rules = `<Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>large/</Prefix></Filter><Expiration><Days>${expireDays}</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>`
  const body = `<LifecycleConfiguration>${rules}</LifecycleConfiguration>`
  const answer = await fetch(`${aws.endpoint}/${name}?lifecycle`, { method: "PUT", body })
  assert.equal(answer.status, 200)
}

before(async () => {
  ;[kafka, aws] = await Promise.all([
    Kafka.start({
      security: { sasl: alice },
      properties: {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS"
      }
    }),
    Fauxqs.start({ persistent: false })
  ])
  ;[proxy, shifted, denying] = await Promise.all([
    SqsProxy.start({ upstream: aws.endpoint }),
    startFront(aws.endpoint, { aheadMs: 600_000 }),
    startFront(aws.endpoint, { denies: call => /^DELETE|lifecycle|absent/.test(call) })
  ])
  const topics: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    right: {},
    "too-strict": { "min.insync.replicas": "2" },
    compacted: { "cleanup.policy": "compact" },
    small: { "max.message.bytes": "100000" },
    unclean: { "unclean.leader.election.enable": "true" },
    brief: { "retention.ms": "600000" },
    bounded: { "message.timestamp.before.max.ms": "600000" },
    guarded: {}
  }
  const configEntries = (more: Readonly<Record<string, string>>) =>
    Object.entries({ ...good, ...more }).map(([name, value]) => ({ name, value }))
  await kafka.admin(async admin => {
    await admin.createTopics({
      topics: Object.entries(topics).map(([topic, more]) => ({ topic, configEntries: configEntries(more) }))
    })
    await admin.createAcls({
      acl: [
        {
          resourceType: AclResourceTypes.TOPIC,
          resourceName: "guarded",
          resourcePatternType: ResourcePatternTypes.LITERAL,
          principal: "User:alice",
          host: "*",
          operation: AclOperationTypes.DESCRIBE,
          permissionType: AclPermissionTypes.ALLOW
        }
      ]
    })
  })
  createQueue("parked-dlq")
  createQueue("parked", redriveTo("parked-dlq", 1000))
  createQueue("forgetful-dlq", { MessageRetentionPeriod: days(4) })
  createQueue("forgetful", redriveTo("forgetful-dlq", 1000))
  createQueue("hasty-dlq")
  createQueue("hasty", redriveTo("hasty-dlq", 3))
  createQueue("hasty-late-dlq")
  for (const name of ["denied", "shifted"]) {
    createQueue(`${name}-dlq`)
    createQueue(name)
  }
  await Promise.all([createBucket("claims", 30), createBucket("short", 7), createBucket("denied", 30)])
  await proxy.set({ _tag: "Deny" }, ["SendMessageBatch"])
})

after(async () => {
  for (const front of [shifted, denying]) front?.server.close()
  await Promise.all([kafka?.stop(), proxy?.stop()])
  await aws?.stop()
  deleteDirectory(directory)
})

interface Entry {
  readonly topic: string
  readonly connection?: string
  readonly retry?: string
}

const configuration = (entries: ReadonlyArray<Entry>): string => {
  const client = (endpoint: string) =>
    `{ region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local }`
  const outputs = entries.map(
    ({ connection = "default", topic }) => `    ${topic}: { connection: ${connection}, topic: ${topic} }`
  )
  const producers = entries.map(
    ({ retry = "queue_id: parked, claim_check: { bucket: claims, prefix: large }", topic }) => {
      const check = retry.includes("claim_check") ? "" : ", claim_check: { bucket: claims, prefix: large }"
      return `    ${topic}: { output: ${topic}, retry: { ${retry}${check} } }`
    }
  )
  return `
kafka:
  connection:
    default: { brokers: "${kafka.bootstrap.join(",")}" }
    guarded: { brokers: "${kafka.secure?.bootstrap.join(",")}", sasl: { mechanism: plain, username: alice, password: secret } }
cloud:
  aws:
    sqs:
      clients:
        default: ${client(aws.endpoint)}
        denying: ${client(proxy.endpoint)}
        shifted: ${client(shifted.endpoint)}
    s3: { clients: { default: ${client(aws.endpoint)}, denying: ${client(denying.endpoint)} } }
stream:
  output:
${outputs.join("\n")}
  producer:
${producers.join("\n")}
`
}

const found = async (entries: ReadonlyArray<Entry>) => {
  const parsed = AppConfig.parse([{ file: "doctor.yaml", text: configuration(entries) }], {})
  if (Either.isLeft(parsed)) throw parsed.left
  const evidence = await Effect.runPromise(Doctor.examine(parsed.right))
  return Doctor.diagnose(evidence)
    .filter(({ severity }) => severity !== "ok")
    .map(({ code, severity, subject }) => `${severity} ${code}: ${subject}`)
    .sort()
}

/** True of every cluster here: there is one broker. */
const alone = (connection = "default") => `warning one-broker: connection ${connection}`

const messagesIn = (name: string) => {
  const { delayed, inflight, ready } = aws.server().inspectQueue(name)?.messages ?? {
    delayed: [],
    inflight: [],
    ready: []
  }
  return ready.length + delayed.length + inflight.length
}

describe("doctor on real servers", () => {
  it("finds nothing where all is well, and leaves nothing behind", async () => {
    assert.deepEqual(await found([{ topic: "right" }]), [alone()])
    assert.equal(messagesIn("parked"), 0)
    assert.equal(messagesIn("parked-dlq"), 0)
    const listed = await (await fetch(`${aws.endpoint}/claims?list-type=2`)).text()
    assert.doesNotMatch(listed, /<Key>/)
    assert.deepEqual(await kafka.offsets("right"), [{ partition: 0, low: 0n, high: 0n }])
  })

  it("finds each of these faults, and nothing else", async () => {
    const faults = [
      { topic: "too-strict" },
      { topic: "compacted" },
      { topic: "small" },
      { topic: "unclean" },
      { topic: "brief" },
      { topic: "bounded" },
      { topic: "absent" }
    ]
    assert.deepEqual(
      await found(faults),
      [
        alone(),
        "error min-insync-replicas: topic too-strict",
        "error cleanup-policy: topic compacted",
        "error max-message-bytes: topic small",
        "error unclean-election: topic unclean",
        "error topic-retention: topic brief",
        "error timestamp-bounds: topic bounded",
        "error topic-exists: topic absent"
      ].sort()
    )
  })

  it("finds what is wrong with queues and buckets, each by itself", async () => {
    const wrong = async (retry: string) => (await found([{ topic: "right", retry }])).filter(one => one !== alone())
    assert.deepEqual(await wrong("queue_id: nowhere, dead_letter_queue_id: parked-dlq"), [
      "error queue-exists: queue nowhere"
    ])
    assert.deepEqual(await wrong("queue_id: forgetful"), ["error dead-letter-retention: queue forgetful-dlq"])
    assert.deepEqual(await wrong("queue_id: hasty"), [
      "error max-receive-count: queue hasty",
      "unchecked queue-access: queue hasty"
    ])
    assert.deepEqual(await wrong("queue_id: denied, client_name: denying"), [
      "error queue-access: queue denied",
      "error queue-access: queue denied-dlq"
    ])
    assert.deepEqual(await wrong("queue_id: shifted, client_name: shifted"), ["error aws-clock: queue shifted"])
    assert.deepEqual(await wrong("queue_id: parked, claim_check: { bucket: short, prefix: large }"), [
      "error bucket-expiry: bucket short"
    ])
    assert.deepEqual(await wrong("queue_id: parked, claim_check: { bucket: none, prefix: large }"), [
      "error bucket-exists: bucket none"
    ])
    assert.deepEqual(
      await wrong("queue_id: parked, claim_check: { bucket: denied, prefix: large, client_name: denying }"),
      [
        // Deleting and aborting.
        "error bucket-access: bucket denied",
        "error bucket-access: bucket denied",
        "unchecked bucket-expiry: bucket denied",
        "unchecked bucket-orphans: bucket denied",
        "warning bucket-access: bucket denied"
      ]
    )
  })

  it("ends with 0 and 1, as a command", async () => {
    const run = (name: string, entries: ReadonlyArray<Entry>) => {
      const file = join(directory, name)
      writeFileSync(file, configuration(entries))
      return new RunningService(["doctor", "--config", file]).ended
    }
    const [right, wrong] = await Promise.all([
      run("right.yaml", [{ topic: "right" }]),
      run("wrong.yaml", [{ topic: "compacted" }])
    ])
    assert.equal(right.code, 0, right.stderr)
    assert.match(right.stdout, /^0 errors, 1 warning, 0 unchecked, 0 for information, \d+ ok$/m)
    assert.equal(wrong.code, 1, wrong.stderr)
    assert.match(wrong.stdout, /^ {2}error topic compacted: cleanup\.policy is compact \[cleanup-policy\]$/m)
  })

  it("says what is denied, and what it could therefore not look at", async () => {
    assert.deepEqual(
      await found([{ topic: "guarded", connection: "guarded" }]),
      [
        "error topic-access: topic guarded",
        "unchecked kafka-clock: connection guarded",
        "unchecked request-size: connection guarded",
        "unchecked topic-settings: topic guarded",
        "warning idempotence: connection guarded",
        alone("guarded")
      ].sort()
    )
  })
})
