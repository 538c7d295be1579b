/**
 * The status as `GET /v1/status` shows it.
 */
import type { Status } from "../Spillway.ts"

export const statusJson = (status: Status): string =>
  JSON.stringify(status, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))
