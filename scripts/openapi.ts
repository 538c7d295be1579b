/**
 * Writes docs/openapi.json from the document the service serves: `bun scripts/openapi.ts`.
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { document } from "../src/http/openApi/document.ts"

export const openApiFile = new URL("../docs/openapi.json", import.meta.url)

if (import.meta.main) {
  writeFileSync(openApiFile, JSON.stringify(document))
  execFileSync("npx", ["biome", "format", "--write", fileURLToPath(openApiFile)])
}
