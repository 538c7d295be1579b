/**
 * Looks at a queue for `doctor`: its attributes as they are, and SQS's clock. Changes nothing.
 */
import * as Sqs from "@aws-sdk/client-sqs"
import * as Either from "effect/Either"
import { type AwsAccess, awsClient } from "../internal/awsClient.ts"
import { readDate } from "../internal/doctor/clock.ts"
import {
  type ClockReading,
  denied,
  type Look,
  missing,
  type Settings,
  seen,
  unseen
} from "../internal/doctor/evidence.ts"
import * as QueueId from "../internal/queueId.ts"
import { classify, factsOf } from "../internal/sqsErrors.ts"

export interface Inspected {
  readonly attributes: Look<Settings>
  readonly clock: Look<ClockReading>
}

const lookOf = (thrown: unknown): Look<never> => {
  const facts = factsOf(thrown)
  const { reason } = classify(facts, false)
  const text = [facts.name, facts.message].filter(part => part !== "").join(": ")
  return reason === "NotFound" ? missing : reason === "AccessDenied" ? denied(text) : unseen(text)
}

/** Never rejects. `now`: ms since the epoch. */
export const inspect = async (queueId: string, access: AwsAccess, now: () => number): Promise<Inspected> => {
  const id = Either.getOrUndefined(QueueId.parse(queueId))
  const region = id?._tag === "Arn" ? id.region : access.region
  const endpoint = access.endpoint ?? (id?._tag === "Url" ? id.origin : undefined)
  const client = new Sqs.SQSClient(awsClient({ ...access, region, endpoint }, 4))
  let clock: Look<ClockReading> = unseen("SQS has answered nothing")
  client.middlewareStack.add(
    next => async args => {
      const from = now()
      const result = await next(args)
      const { response } = result
      const headers = typeof response === "object" && response !== null && "headers" in response ? response.headers : {}
      const date = typeof headers === "object" && headers !== null && "date" in headers ? String(headers.date) : ""
      const reading = readDate(date, from, now())
      clock = reading === undefined ? unseen("its answers carry no Date") : seen(reading)
      return result
    },
    { step: "deserialize", priority: "low", name: "doctorClock" }
  )
  try {
    const url = async (): Promise<string | undefined> => {
      if (id?._tag === "Url") return QueueId.urlAt(id.origin + id.path, access.endpoint)
      const owner = id?._tag === "Arn" ? { QueueOwnerAWSAccountId: id.account } : {}
      const { QueueUrl } = await client.send(new Sqs.GetQueueUrlCommand({ QueueName: id?.name ?? queueId, ...owner }))
      return QueueUrl === undefined ? undefined : QueueId.urlAt(QueueUrl, access.endpoint)
    }
    const QueueUrl = await url()
    const { Attributes } = await client.send(new Sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))
    return { attributes: seen({ ...Attributes }), clock }
  } catch (thrown) {
    return { attributes: lookOf(thrown), clock }
  } finally {
    client.destroy()
  }
}
