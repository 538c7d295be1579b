/**
 * What the AWS SDK's clients here have in common: where to, as whom, how long, and every request sent once.
 */
import * as Redacted from "effect/Redacted"
import { sendOnceAgents } from "./sendOnceAgents.ts"

/** How to reach one AWS service. */
export interface AwsAccess {
  readonly region: string
  /** Base URL instead of AWS's own. */
  readonly endpoint?: string | undefined
  /** With the secret: static credentials. Without: the AWS default credential chain. */
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: Redacted.Redacted<string> | undefined
  readonly sessionToken?: Redacted.Redacted<string> | undefined
  /** One attempt from the first byte to the last, ms. */
  readonly requestTimeoutMs: number
  /** DNS, TCP and TLS, ms. */
  readonly connectionTimeoutMs: number
}

/** For the constructor of an SDK client. */
export const awsClient = (access: AwsAccess, maximumSockets: number) => {
  const { accessKeyId, connectionTimeoutMs, endpoint, region, requestTimeoutMs, secretAccessKey, sessionToken } = access
  return {
    region,
    // Every retry is the caller's, who knows the deadline.
    maxAttempts: 1,
    // A requestTimeout already throws; the rest of what the SDK would print is in the errors.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      socketTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      ...sendOnceAgents(maximumSockets)
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId,
            secretAccessKey: Redacted.value(secretAccessKey),
            ...(sessionToken === undefined ? {} : { sessionToken: Redacted.value(sessionToken) })
          }
        })
  }
}
