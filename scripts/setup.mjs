/**
 * Makes a bare clone usable: installs the packages when they are missing or older than the lock file, and makes sure
 * that Bun and Deno run. `node scripts/setup.mjs jars` also fetches the servers for the tests. Needs Node 20 and npm.
 */
import { spawnSync } from "node:child_process"
import { existsSync, realpathSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Path of a command that a package installed. */
export const bin = name => join(root, "node_modules", ".bin", name)

const say = line => console.error(`setup: ${line}`)

const run = (file, args, stdio = "inherit") => {
  const { error, status } = spawnSync(file, args, { cwd: root, stdio })
  return error === undefined && status === 0
}

const isInstalled = () => {
  const installed = join(root, "node_modules", ".package-lock.json")
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs
}

const installPackages = () => {
  say("installing packages (npm ci)")
  if (!run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])) throw new Error("`npm ci` failed")
}

/** npm 11 and later do not run install scripts unasked; these two place the runtime's binary. */
const installers = { bun: "bun/install.js", deno: "deno/install.cjs" }

const ensureRuntime = name => {
  const answers = () => run(bin(name), ["--version"], "ignore")
  if (answers()) return
  say(`finishing the installation of ${name}`)
  run(process.execPath, [join(root, "node_modules", installers[name])])
  if (!answers())
    throw new Error(`${name} does not run on this machine after \`npm ci\`; try \`npx ${name} --version\``)
}

/** Installs what is missing; does nothing, silently, when all is there. */
export const setup = () => {
  if (Number(process.versions.node.split(".")[0]) < 20) {
    throw new Error(`Node 20 or newer is needed to set up; this is ${process.version}`)
  }
  if (!isInstalled()) installPackages()
  for (const name of Object.keys(installers)) ensureRuntime(name)
}

/** Fetches the jars of Kafka and ElasticMQ unless they are there. False when this machine cannot run them. */
export const fetchJars = () => run(bin("bun"), [join(root, "scripts", "jars.ts")])

const isMain = process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
if (isMain) {
  try {
    setup()
    if (process.argv.includes("jars") && !fetchJars()) process.exitCode = 1
  } catch (error) {
    say(error.message)
    process.exitCode = 1
  }
}
