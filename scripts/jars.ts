/**
 * Fetches the servers the tests, the quickstart and the benchmarks run against, so that later starts are quick.
 */
import process from "node:process"
import { engine } from "../test/support/Engine.ts"
import { jarDirectory } from "../test/support/Jars.ts"
import * as MetadataMock from "../test/support/MetadataMock.ts"

try {
  if (engine().kind === "java") {
    await jarDirectory("kafka")
    await jarDirectory("elasticmq")
  } else {
    console.error("No Java with Maven here: Docker images are used instead, pulled at their first start.")
  }
  if (MetadataMock.missing === undefined) MetadataMock.build()
  else console.error(`${MetadataMock.missing}. The tests that need it are skipped.`)
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
