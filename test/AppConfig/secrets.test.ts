// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import { inspect } from "node:util"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as AppConfig from "../../src/AppConfig.ts"
import { bad, client, connection, type Env, exampleText, faults, good, machineText, retry } from "./texts.ts"

describe("TLS and SASL", () => {
  const pem: AppConfig.ReadText = file => `-----BEGIN TEST-----\n${file}\n`

  test("files are looked for beside the file that names them", () => {
    const text = connection("tls: { ca_file: certs/ca.pem, cert_file: /abs/c.pem, key_file: k.pem, servername: n }")
    const parsed = AppConfig.parse(
      [
        { file: "a.yaml", text: exampleText },
        { file: "b.yaml", text: machineText },
        { file: "/etc/spillway/tls.yaml", text }
      ],
      {},
      pem
    )
    assert.ok(Either.isRight(parsed))
    const tls = parsed.right.kafkaConnections.default?.tls
    assert.equal(tls?.ca, "-----BEGIN TEST-----\n/etc/spillway/certs/ca.pem\n")
    assert.equal(tls?.cert, "-----BEGIN TEST-----\n/abs/c.pem\n")
    assert.match(Redacted.value(tls?.key ?? assert.fail()), /\/etc\/spillway\/k\.pem/)
    assert.equal(tls?.insecureSkipVerify, false)
  })

  test("tls is off when it says so", () => {
    assert.equal(good(connection("tls: false")).kafkaConnections.default?.tls, undefined)
    assert.equal(good(connection("tls: { enabled: false, ca_file: x }")).kafkaConnections.default?.tls, undefined)
    assert.match(faults(connection("tls:"))[0] ?? "", /default\.tls: expected true or false, found nothing$/)
  })

  test("files that cannot be used are faults at the key", () => {
    assert.deepEqual(faults(connection("tls: { ca_file: nowhere.pem }")), [
      "c.yaml:1:51  kafka.connection.default.tls.ca_file: the file cannot be read: no such file"
    ])
    assert.deepEqual(
      faults(connection("tls: { ca_file: x }"), {}, () => "s3cret"),
      ["c.yaml:1:51  kafka.connection.default.tls.ca_file: the file is not PEM: it has no -----BEGIN line"]
    )
    assert.match(faults(connection("tls: { cert_file: x }"), {}, pem)[0] ?? "", /key_file: missing, expected both/)
  })

  test("every mechanism", () => {
    const sasl = (text: string, env: Env = {}) =>
      good(connection(`sasl: { ${text} }`), env).kafkaConnections.default?.sasl
    const plain = sasl("mechanism: SCRAM-SHA-512, username: u, password: p")
    assert.equal(plain?.mechanism, "scram-sha-512")
    assert.equal(plain?.mechanism === "scram-sha-512" && Redacted.value(plain.password), "p")
    assert.deepEqual(sasl("mechanism: oauthbearer, token_file: /t"), {
      mechanism: "oauthbearer",
      token: undefined,
      tokenFile: "/t"
    })
    assert.deepEqual(sasl("mechanism: msk-iam", { AWS_DEFAULT_REGION: "eu" }), { mechanism: "msk-iam", region: "eu" })
  })
})

describe("secrets", () => {
  const secret = "hunter2"
  const text = `kafka:
  connection:
    default:
      tls: { cert_file: c, key_file: k, passphrase: ${secret} }
      sasl: { mechanism: plain, username: u, password: ${secret} }
    oauth: { brokers: o:1, sasl: { mechanism: oauthbearer, token: ${secret} } }
cloud:
  aws: { sqs: { clients: { default: { access_key_id: id, secret_access_key: ${secret}, session_token: ${secret} } } } }
http: { token: ${secret} }
`
  const shown = (value: unknown): string =>
    [inspect(value, { depth: 20, showHidden: true }), JSON.stringify(value), `${value}`].join("\n")

  test("do not show in a configuration, however it is printed", () => {
    const config = good(text, {}, () => `-----BEGIN ${secret}`)
    assert.ok(config.kafkaConnections.default?.tls?.key)
    // The certificate is public, only the key is not.
    const keyOnly = good(text, {}, file => (file.endsWith("k") ? `-----BEGIN ${secret}` : "-----BEGIN "))
    assert.ok(!shown(keyOnly).includes(secret))
    const printed = AppConfig.redacted(keyOnly)
    assert.equal(JSON.stringify(printed).match(/<redacted>/g)?.length, 7)
    assert.ok(!shown(printed).includes(secret))
  })

  const mistakes = [
    text.replaceAll("password", "pasword"),
    text.replaceAll("token: ", "tokn: "),
    text.replaceAll(secret, `[${secret}]`),
    text.replaceAll(secret, `{ ${secret}: 1 }`).replaceAll(`{ ${secret}: 1 }`, `{ a: ${secret} }`),
    text.replaceAll(secret, `*${secret}`),
    text.replaceAll(secret, `!${secret} x`),
    text.replaceAll(secret, `"\\${secret}"`),
    text.replaceAll(secret, `${secret} ${secret}`).replace("mechanism: plain", "mechanism: msk-iam"),
    text.replaceAll(secret, `'${secret}`),
    `http: ${secret}`,
    connection(`sasl: ${secret}`),
    connection(`tls: [${secret}]`),
    connection(`brokers: 'user:${secret}@host'`),
    client(`endpoint: 'http://user:${secret}@host'`),
    client(`endpoint: 'user:${secret}@host:1'`),
    retry(`queue_id: 'http://user:${secret}@ho st/q'`)
  ]
  for (const mistake of mistakes) {
    test(`do not show in the errors of ${JSON.stringify(mistake.slice(0, 200))}`, () => {
      const error = bad([exampleText, machineText, mistake], {}, () => `-----BEGIN `)
      assert.ok(!`${shown(error)}${error.stack}`.includes(secret), shown(error))
    })
  }

  test("a secret of digits is refused without showing them", () => {
    assert.deepEqual(faults("http: { token: 123456 }"), [
      "c.yaml:1:16  http.token: expected a text, found a number; put it in quotes"
    ])
  })
})
