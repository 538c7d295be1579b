/**
 * One executable for this machine's kind of system: `npm run build`, then `dist/spillway serve --config …`. It reads no
 * .env and no bunfig.toml of the directory it is started in.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, statSync } from "node:fs"
import { join, relative } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const outfile = process.argv[2] ?? join(root, "dist", "spillway")

mkdirSync(join(outfile, ".."), { recursive: true })
const flags = ["--compile", "--minify", "--bytecode", "--format=esm"]
const isolated = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"]
const args = ["build", ...flags, ...isolated, "src/main.ts", `--outfile=${outfile}`]
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
if (status !== 0) process.exit(status ?? 1)
console.log(`${relative(process.cwd(), outfile)}: ${(statSync(outfile).size / 1e6).toFixed(0)} MB`)
