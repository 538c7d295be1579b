/**
 * Tokens for Amazon MSK's IAM access control: a presigned `kafka-cluster:Connect` request, from the AWS default
 * credential chain. Loaded only by connections that use it.
 */
import { generateAuthToken } from "aws-msk-iam-sasl-signer-js"

/** A new token; MSK accepts it for 15 minutes. Rejects when no AWS credentials can be found. */
export const token = async (region: string): Promise<string> => (await generateAuthToken({ region })).token
