/**
 * Which faults come in which order, for how long, on whom: from the seed alone.
 */
import { type Random, seeded } from "./random.ts"

/** A new fault is a name here and what it does in `faults.ts`. */
export const faultNames = [
  "broker-kill",
  "broker-freeze",
  "rolling-restart",
  "controller-loss",
  "two-of-three-down",
  "kafka-refuse",
  "kafka-hang",
  "kafka-reset-mid-response",
  "kafka-lost-acks",
  "kafka-latency",
  "kafka-throttle",
  "kafka-flap",
  "sqs-refuse",
  "sqs-hang",
  "sqs-throttling",
  "sqs-denied",
  "sqs-errors",
  "sqs-failed-entries",
  "sqs-lost-replies",
  "sqs-wrong-checksums",
  "both-down",
  "service-restart",
  "service-restart-in-outage",
  "service-kill",
  "service-kill-in-outage",
  "service-kill-while-spooling",
  "service-kill-while-draining",
  "service-restart-while-spooling",
  "service-restart-while-draining",
  "spool-full",
  "spot-notice",
  "partitions-added",
  "topic-deleted"
] as const

export type FaultName = (typeof faultNames)[number]

export interface Step {
  readonly fault: FaultName
  /** How long it lasts, ms. */
  readonly holdMs: number
  /** Calm behind it, ms. */
  readonly calmMs: number
  /** Which broker, from 0; undefined: all, where the fault can concern all. */
  readonly broker: number
  readonly all: boolean
}

const step = (fault: FaultName, random: Random): Step => ({
  fault,
  holdMs: random.whole(3000, 9000),
  calmMs: random.whole(2000, 5000),
  broker: random.whole(0, 2),
  all: random.next() < 0.5
})

/** Without end. Every fault comes once before any comes again. */
export function* schedule(seed: number, names: ReadonlyArray<FaultName> = faultNames): Generator<Step> {
  const random = seeded(seed)
  for (;;) for (const fault of random.shuffled(names)) yield step(fault, random)
}
