// Workers that take keys from a queue and reconcile them. A reconcile that throws is slowed down, counted and
// logged; it never ends the worker. Permanent trouble belongs into a condition, not into an exception.

import type { Clock } from './clock.ts'
import { sleep } from './clock.ts'
import { ApiError, isConflict } from './errors.ts'
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
  /** The signal aborts when the reconcile takes too long, or when the controller stops without patience. */
  reconcile: (key: Key, signal: AbortSignal) => Promise<ReconcileResult | undefined>
  /** Keys reconciled at the same time; 1 unless told. */
  concurrency?: number | undefined
  /** A reconcile that takes longer has its signal aborted; 2 minutes unless told. */
  timeoutMs?: number | undefined
  clock: Clock
  log: Logger
  metrics: KubeMetrics
}

export interface Controller {
  /** Takes no further key, waits for those in flight at most this long (10 s unless told), then aborts them. */
  stop(patienceMs?: number): Promise<void>
}

/** A shorter wish would make a busy loop of a reconciler that always wants to come again. */
const SHORTEST_REQUEUE_MS = 100

export function runController(options: ControllerOptions): Controller {
  const stopping = new AbortController()
  const { name, queue, clock, metrics } = options
  metrics.trackQueue(name, () => queue.depth)
  const worker = async (): Promise<void> => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      await reconcileOne(options, key, stopping.signal)
    }
  }
  const workers = Promise.all(Array.from({ length: options.concurrency ?? 1 }, worker))
  return {
    stop: async (patienceMs = 10_000) => {
      queue.stop()
      const done = new AbortController()
      const finished = workers.then(() => {
        done.abort()
      })
      await Promise.race([finished, sleep(clock, patienceMs, done.signal)])
      stopping.abort(new Error(`controller ${name} stopped`))
      metrics.untrackQueue(name)
    },
  }
}

type Verdict = 'done' | 'requeue' | 'conflict' | 'error'

async function reconcileOne(options: ControllerOptions, key: Key, stopping: AbortSignal): Promise<void> {
  const { name, clock, metrics } = options
  const startedAt = clock.monotonic()
  const limit = limitedSignal(options, key, stopping)
  let verdict: Verdict
  try {
    const result = await options.reconcile(key, limit.signal)
    verdict = settle(options.queue, key, result?.requeueAfterMs)
  } catch (error) {
    verdict = afterError(options, key, error)
  } finally {
    limit.end()
  }
  metrics.reconciles.inc({ controller: name, result: verdict })
  if (verdict === 'error') metrics.reconcileErrors.inc({ controller: name })
  metrics.reconcileSeconds.observe({ controller: name }, (clock.monotonic() - startedAt) / 1000)
}

function settle(queue: WorkQueue, key: Key, requeueAfterMs: number | undefined): Verdict {
  if (requeueAfterMs !== undefined && Number.isNaN(requeueAfterMs)) {
    throw new TypeError('requeueAfterMs: NaN, expected a number of milliseconds')
  }
  queue.done(key)
  if (requeueAfterMs === undefined) return 'done'
  queue.addAfter(key, Math.max(SHORTEST_REQUEUE_MS, requeueAfterMs))
  return 'requeue'
}

function afterError({ name, queue, log }: ControllerOptions, key: Key, error: unknown): Verdict {
  const atLeastMs = error instanceof ApiError ? error.retryAfterMs : undefined
  const retryInMs = Math.round(queue.fail(key, atLeastMs))
  const fields = { controller: name, key, retryInMs, err: error }
  if (isConflict(error)) {
    log.debug(fields, 'looking again after a conflict')
    return 'conflict'
  }
  log.error(fields, 'reconcile failed')
  return 'error'
}

function limitedSignal(
  { clock, log, name, timeoutMs = 120_000 }: ControllerOptions,
  key: Key,
  stopping: AbortSignal,
): { signal: AbortSignal; end: () => void } {
  const own = new AbortController()
  const onStop = (): void => {
    own.abort(stopping.reason)
  }
  stopping.addEventListener('abort', onStop, { once: true })
  const cancel = clock.after(timeoutMs, () => {
    log.error({ controller: name, key, timeoutMs }, 'reconcile takes too long')
    own.abort(new Error(`reconcile of ${key} took longer than ${String(timeoutMs)} ms`))
  })
  return {
    signal: own.signal,
    end: () => {
      cancel()
      stopping.removeEventListener('abort', onStop)
    },
  }
}
