// Leader election on a coordination.k8s.io/v1 Lease.

import type { KubeClient, WriteGuard } from './client.ts'
import type { Clock } from './clock.ts'
import type { KubeMetrics } from './metrics.ts'
import type { Logger, ObjectRef, Random } from './types.ts'

/** Held from onStarted until `signal` aborts. `client.guardedBy(leadership)` refuses writes after that. */
export type Leadership = WriteGuard

export interface LeaderElectionOptions {
  client: KubeClient
  lease: ObjectRef
  /** Unique to this process. */
  identity: string
  /** Called once, when the lease is held. */
  onStarted: (leadership: Leadership) => void
  /** Called at most once, after the signal aborted: the process should end. Not called after `stop`. */
  onLost: (reason: string) => void
  clock: Clock
  random: Random
  log: Logger
  metrics: KubeMetrics
  /** 15 s, 10 s and 2 s unless told. */
  leaseDurationMs?: number | undefined
  renewDeadlineMs?: number | undefined
  retryPeriodMs?: number | undefined
}

export interface LeaderElection {
  readonly isLeader: boolean
  /** Aborts the leadership, then gives the lease back. Stop the controllers first. */
  stop(): Promise<void>
}
