/** fauxqs in a process of its own, so that it shares no event loop with what is measured. Ends with its parent. */
import * as Fauxqs from "../test/support/Fauxqs.ts"

const server = await Fauxqs.start({ persistent: false })
console.log(server.endpoint)
process.stdin.resume()
process.stdin.once("end", () => {
  server.stop().finally(() => process.exit(0))
})
