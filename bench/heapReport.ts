/** Loaded before the service: writes every second to the file it is given how much of the heap is used, bytes. */
import { writeFileSync } from "node:fs"
import process from "node:process"

const file = process.env.BENCH_HEAP_FILE
if (file !== undefined) setInterval(() => writeFileSync(file, String(process.memoryUsage().heapUsed)), 1000).unref()
