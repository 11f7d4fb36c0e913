// What the hub is given from outside: nothing here reads the environment, the wall clock or chance by itself.
import type { KeyObject } from 'node:crypto'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'
import type { Clock } from '#federation/tier/clock.ts'
import type { TokenReviewer } from '#federation/tier/serving/identity.ts'
import type { ModelCompiler } from '#federation/tier/compiler.ts'
import type { ModelSource } from './model-source.ts'

/** Together, a sign of life and the wait for its answer notice a dead connection within 28 s. */
export const DEFAULT_KEEPALIVE_MS = 14_000
export const DEFAULT_IDLE_MS = 30_000
export const DEFAULT_FLEET_HOLD_MS = 60_000

export interface HubOptions {
  /** Folder on the hub's volume; everything durable lies below it. */
  readonly directory: string
  /** PEM. */
  readonly tls: { readonly key: string; readonly certificate: string }
  /** Ed25519 private key that signs published versions. */
  readonly signingKey: KeyObject
  readonly reviewToken: TokenReviewer
  /** User name that may call Control, such as `system:serviceaccount:tributary-system:tributary-operator`. */
  readonly operatorUsername: string
  /** User name that may call Distribution, such as `system:serviceaccount:tributary-system:tributary-agent`. */
  readonly agentUsername: string
  /** Keys that the cluster signs service-account tokens with, for edge controllers; rejects when they cannot be had now. */
  readonly tokenKeys: () => Promise<TokenKeys>
  readonly modelSource: ModelSource
  /** Closed together with the hub. */
  readonly compiler: ModelCompiler
  /** What merging and checking updates compute with. */
  readonly kernels: Kernels
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** 0 takes any free port. */
  readonly port: number
  readonly healthPort: number
  /** Address to listen on; all by default. */
  readonly host?: string
  /** How often a connection is asked for a sign of life; one that does not come within the same time ends it. Default 14 s. */
  readonly keepaliveMs?: number
  /** How long an upload or download may stand still. Default 30 s. */
  readonly idleMs?: number
  /** How long a hub on an empty volume, once a model is applied, has agents keep what they serve. Default 60 s. */
  readonly fleetHoldMs?: number
}

export interface RunningHub {
  /** The port of gRPC and bytes. */
  readonly port: number
  /** The port of health and metrics. */
  readonly healthPort: number
  close(): Promise<void>
}
