// What an edge controller is given from outside: nothing in this folder reads the environment, the clock or chance by itself.
import type { Logger } from 'pino'

import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { Clock } from '#federation/tier/clock.ts'
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'

export interface AggregateOptions {
  readonly hub: HubEndpoint
  /** UID of the FederatedRound. */
  readonly campaign: string
  /** Its name: a zone. */
  readonly tier: string
  /** Where those below reach this node. */
  readonly nodeAddress: string
  /** 0: the port of the last time when it is free, else any. */
  readonly port: number
  /** Address to listen on; all unless given. */
  readonly host?: string | undefined
  /** Port of health and metrics on 127.0.0.1; undefined: none. */
  readonly healthPort?: number | undefined
  /** Of what is sent to the parent together, and of each blob that is fetched from it; undefined: as fast as the link. */
  readonly bytesPerSecond?: number | undefined
  /** Everything durable lies below it. */
  readonly stateFolder: string
  readonly softwareVersion: string
  readonly kernels: Kernels
  readonly log: Logger
  readonly clock: Clock
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Between attempts to reach the parent; as everywhere unless given. */
  readonly backoff?: BackoffOptions | undefined
  readonly signal: AbortSignal
}
