/**
 * Ad events as a tracking service would send them: impressions keyed by user, clicks keyed by session.
 */
import { randomUUID } from "node:crypto"

export interface AdEvent {
  /** The record id. */
  readonly id: string
  readonly key: string
  readonly type: "impression" | "click"
  readonly value: Readonly<Record<string, unknown>>
}

const countries = ["DE", "FR", "US", "BR", "JP", "IN", "GB", "ES"] as const
const devices = ["ios", "android", "desktop", "tv"] as const
const placements = ["feed", "story", "banner-top", "interstitial", "search"] as const

const whole = (below: number): number => Math.floor(Math.random() * below)
const pick = <A>(from: ReadonlyArray<A>): A | undefined => from[whole(from.length)]

/** One click for about eight impressions. */
export const adEvent = (): AdEvent => {
  const id = randomUUID()
  const user = `user-${whole(5000)}`
  const session = `session-${whole(20_000)}`
  const shared = { ts: Date.now(), user, session, campaign: 1000 + whole(40), country: pick(countries) }
  if (whole(9) === 0) {
    const value = { type: "click", ...shared, impression: randomUUID(), x: whole(390), y: whole(844) }
    return { id, key: session, type: "click", value }
  }
  const value = {
    type: "impression",
    ...shared,
    creative: 10_000 + whole(400),
    placement: pick(placements),
    device: pick(devices),
    viewable: Math.random() < 0.7,
    priceMicros: 200 + whole(9000)
  }
  return { id, key: user, type: "impression", value }
}

/** An impression with a bid log of `bytes`. */
export const oversizedEvent = (bytes: number): AdEvent => {
  const event = adEvent()
  return { ...event, value: { ...event.value, bidLog: "bid;".repeat(Math.ceil(bytes / 4)) } }
}
