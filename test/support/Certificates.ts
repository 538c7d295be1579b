/**
 * Certificates for a test, made by openssl: an authority, a server and a client it vouches for, and an impostor.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  readonly ca: string
  /** For localhost and 127.0.0.1. */
  readonly server: Pair
  /** `CN=billing`, also known as billing.internal. */
  readonly client: Pair
  /** `CN=billing`, vouched for by nobody. */
  readonly impostor: Pair
}

/** Why there are none to be had here; undefined when there are. */
export const missing: string | undefined =
  spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0 ? undefined : "openssl is not installed"

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

/** @param directory an empty one, to be deleted by the caller */
export const makeCertificates = (directory: string): Certificates => {
  const at = (name: string) => join(directory, name)
  const read = (name: string) => readFileSync(at(name), "utf8")
  const openssl = (...args: ReadonlyArray<string>) => {
    const { error, status, stderr } = spawnSync("openssl", args, { cwd: directory, encoding: "utf8" })
    if (error !== undefined || status !== 0) throw new Error(`openssl ${args[0]}: ${error ?? stderr}`)
  }
  const selfSigned = (name: string, subject: string): Pair => {
    openssl("req", "-x509", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", subject)
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) }
  }
  const vouchedFor = (name: string, subject: string, names: string): Pair => {
    openssl("req", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject)
    writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`)
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.pem`, "-days", "2", "-extfile", `${name}.ext`)
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) }
  }
  const { cert: ca } = selfSigned("ca", "/CN=test authority")
  return {
    ca,
    server: vouchedFor("server", "/CN=localhost", "DNS:localhost,IP:127.0.0.1"),
    client: vouchedFor("client", "/CN=billing", "DNS:billing.internal"),
    impostor: selfSigned("impostor", "/CN=billing")
  }
}
