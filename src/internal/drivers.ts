/**
 * How the outside is reached. The real one is `Drivers.live`; tests hand in doubles.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { KafkaConnectionConfig, S3ClientConfig, SqsClientConfig } from "../AppConfig.ts"
import type { Service as Claims } from "../ClaimCheck.ts"
import type { Service as Queue } from "../FallbackQueue.ts"
import type { Service as KafkaService } from "../KafkaClient.ts"
import type * as Spool from "../Spool.ts"

export interface Drivers {
  readonly kafka: (connection: KafkaConnectionConfig) => Effect.Effect<KafkaService, never, Scope.Scope>
  readonly queue: (options: {
    readonly queueId: string
    readonly client: SqsClientConfig
    /** Create it, with this dead-letter queue behind it, when it does not exist. */
    readonly create: { readonly deadLetterQueueId: string | undefined } | undefined
    readonly onRequest: (operation: string, billedRequests: number) => void
  }) => Effect.Effect<Queue, never, Scope.Scope>
  /** Asked for only where the configuration has a claim check. */
  readonly claims: (options: {
    readonly bucket: string
    readonly prefix: string
    readonly client: S3ClientConfig
  }) => Effect.Effect<Claims, never, Scope.Scope>
  readonly spool: (options: {
    readonly path: string
    readonly maxBytes: number
  }) => Effect.Effect<Spool.Service, never, Scope.Scope>
}
