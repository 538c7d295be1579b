/** franz-go, in a small Go program of its own. */
import { runCommand } from "../test/support/runCommand.ts"
import { events } from "./events.ts"
import { buildPeer } from "./peers.ts"
import type { Job, Measured } from "./window.ts"

export const runFranzGo = async (job: Job): Promise<Measured> => {
  const file = buildPeer("franz-go")
  const input = `${events(job.size, job.compression).join("\n")}\n`
  const { stdout } = await runCommand({ file, args: [JSON.stringify(job)] }, { deadlineMs: 120_000, input })
  return JSON.parse(stdout)
}
