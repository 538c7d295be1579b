/**
 * Kafka's own Java tools and small Java programs against its jars.
 */
import { engine } from "./Engine.ts"
import { type CommandOptions, type CommandResult, runCommand } from "./runCommand.ts"

/** Quick to start, small; log lines of WARN and above go to standard error. */
export const jvmFlags: ReadonlyArray<string> = [
  "-XX:+UseSerialGC",
  "-XX:-UsePerfData",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
]

/**
 * Runs one of the tools in Kafka's jars, named by its class, for example
 * `org.apache.kafka.tools.ProducerPerformance` or `kafka.tools.DumpLogSegments`.
 */
export const runKafkaTool = async (
  mainClass: string,
  args: ReadonlyArray<string>,
  options: CommandOptions & { readonly jvm?: ReadonlyArray<string> } = {}
): Promise<CommandResult> =>
  runCommand(await engine().java("kafka", [...jvmFlags, ...(options.jvm ?? []), mainClass, ...args]), options)

/** Compiles and runs one `.java` file in memory against Kafka's jars (needs a JDK on this machine). */
export const runJavaSource = async (
  file: string,
  args: ReadonlyArray<string> = [],
  options: CommandOptions = {}
): Promise<CommandResult> => {
  if (engine().kind !== "java") throw new Error(`${file} needs a JDK on this machine; the Docker images have none`)
  return runCommand(await engine().java("kafka", [...jvmFlags, file, ...args]), options)
}
