/**
 * What runs the servers: Java on this machine, or the same commands inside Docker images where there is no Java.
 */
import { spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { tmpdir } from "node:os"
import process from "node:process"
import { elasticmqVersion, hasJars, hasMaven, type JarSet, jarDirectory, kafkaVersion } from "./Jars.ts"

/** A command to spawn. With Docker, `container` names what signals must reach instead of the spawned client. */
export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly container?: string
}

export interface Engine {
  readonly kind: "java" | "docker"
  /** `java` with the jars of `set` on the class path. */
  readonly java: (set: JarSet, args: ReadonlyArray<string>) => Promise<Command>
  readonly keytool: (args: ReadonlyArray<string>) => Command
}

const javaMajor = (): number => {
  const answer = spawnSync("java", ["-version"], { encoding: "utf8" })
  if (answer.error !== undefined || answer.status !== 0) return 0
  return Number(/version "(\d+)/.exec(`${answer.stderr}${answer.stdout}`)?.[1] ?? 0)
}

const javaEngine: Engine = {
  kind: "java",
  java: async (set, args) => ({ file: "java", args: ["-cp", `${await jarDirectory(set)}/*`, ...args] }),
  keytool: args => ({ file: "keytool", args })
}

/** Host networking keeps every address the same as without Docker; the temporary directory is mounted at its own path. */
const inContainer = (image: string, options: ReadonlyArray<string>, args: ReadonlyArray<string>): Command => {
  const container = `spillway-${randomUUID().slice(0, 8)}`
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const run = ["run", "--rm", "--init", "--name", container, "--network", "host", "--user", user]
  return { file: "docker", args: [...run, "-v", `${tmpdir()}:${tmpdir()}`, ...options, image, ...args], container }
}

const kafkaImage = `apache/kafka:${kafkaVersion}`
const configurationFlag = "-Dconfig.file="

const dockerEngine: Engine = {
  kind: "docker",
  java: async (set, args) => {
    if (set === "kafka") {
      return inContainer(kafkaImage, ["--entrypoint", "java"], ["-cp", "/opt/kafka/libs/*", ...args])
    }
    // The image starts its server by itself, with the configuration it finds at a fixed place.
    const configuration = args.find(arg => arg.startsWith(configurationFlag))?.slice(configurationFlag.length)
    const mount = configuration === undefined ? [] : ["-v", `${configuration}:/opt/elasticmq.conf`]
    return inContainer(`softwaremill/elasticmq-native:${elasticmqVersion}`, mount, [])
  },
  keytool: args => inContainer(kafkaImage, ["--entrypoint", "keytool"], args)
}

let chosen: Engine | undefined

/** Java 17 with Maven (or the jars already fetched), else Docker, else an error that says what to install. */
export const engine = (): Engine => {
  if (chosen !== undefined) return chosen
  if (javaMajor() >= 17 && ((hasJars("kafka") && hasJars("elasticmq")) || hasMaven())) chosen = javaEngine
  else if (spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0) chosen = dockerEngine
  else {
    throw new Error(
      "A real Kafka needs Java 17 or newer and Maven (Debian: openjdk-17-jdk-headless maven; Homebrew: openjdk maven), or a running Docker engine."
    )
  }
  return chosen
}
