// Workers that take keys from a queue and reconcile them.

import type { Clock } from './clock.ts'
import type { KubeMetrics } from './metrics.ts'
import type { WorkQueue } from './queue.ts'
import type { Key, Logger } from './types.ts'

export interface ReconcileResult {
  /** Come again after this long, change or no change. */
  requeueAfterMs?: number | undefined
}

export interface ControllerOptions {
  name: string
  queue: WorkQueue
  /** The signal aborts when the reconcile takes too long or the controller stops without patience. */
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a reconcile without a wish returns nothing
  reconcile: (key: Key, signal: AbortSignal) => Promise<ReconcileResult | void>
  /** Keys reconciled at the same time; 1 unless told. */
  concurrency?: number | undefined
  /** A reconcile that takes longer has its signal aborted; 2 minutes unless told. */
  timeoutMs?: number | undefined
  clock: Clock
  log: Logger
  metrics: KubeMetrics
}

export interface Controller {
  /** Takes no further key and waits for those in flight, at most this long (10 s unless told). */
  stop(patienceMs?: number): Promise<void>
}
