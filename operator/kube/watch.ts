// A watch that does not end. It is an explicit state machine with one `step`:
//
//   Empty ──▶ Listing(page) ──▶ Listed ──▶ Watching
//     ▲            │ ▲ next page    ▲ │        │
//     │            │ └── retry      │ └─ retry │  end of stream, reset, silence, 5xx: go on from the last version
//     └────────────┴──── 410, refused for good, unreadable ────┘  everything is listed anew
//
// Every failure falls back a state, waits (exponentially, with jitter, at least Retry-After) and goes on.
// Versions are opaque: taken from the server, handed back to it, never compared by size.

import { backOffMs } from './back-off.ts'
import type { ListPage } from './api.ts'
import type { Clock } from './clock.ts'
import { sleep } from './clock.ts'
import { ApiError, messageOf } from './errors.ts'
import type { KubeObject, Random } from './types.ts'
import type { WatchEvent, WatchStream } from './watch-stream.ts'

export interface WatchTiming {
  /** Objects a list page. */
  pageSize: number
  /** The server ends and we reopen each stream this often; it sends a bookmark just before. */
  serverTimeoutSeconds: number
  /** A stream silent for longer is dead. Longer than serverTimeoutSeconds, or quiet resources look dead. */
  idleTimeoutMs: number
  backOffMinMs: number
  backOffMaxMs: number
  /** A stream that lived for this long was a good one: the next failure starts from the smallest back-off. */
  healthyAfterMs: number
}

export const WATCH_TIMING: WatchTiming = {
  pageSize: 500,
  serverTimeoutSeconds: 30,
  idleTimeoutMs: 35_000,
  backOffMinMs: 500,
  backOffMaxMs: 30_000,
  healthyAfterMs: 5_000,
}

export type WatchState<T extends KubeObject> =
  | { phase: 'Empty'; pageSize: number }
  | { phase: 'Listing'; pageSize: number; continueToken?: string | undefined }
  | { phase: 'Listed'; pageSize: number; resourceVersion: string; refusals: number }
  | {
      phase: 'Watching'
      pageSize: number
      resourceVersion: string
      /** How often in a row the server refused to watch from this version. */
      refusals: number
      stream: WatchStream<T>
    }

/** What the owner of a cache needs to know. `listed` ends what `restarted` began. */
export type WatchOutput<T extends KubeObject> =
  | { type: 'restarted' }
  | { type: 'page'; objects: T[] }
  | { type: 'listed' }
  | { type: 'applied'; object: T }
  | { type: 'deleted'; object: T }

export interface WatchSource<T extends KubeObject> {
  list(limit: number, continueToken: string | undefined): Promise<ListPage<T>>
  watch(resourceVersion: string): Promise<WatchStream<T>>
}

export interface Step<T extends KubeObject> {
  state: WatchState<T>
  output?: WatchOutput<T>
  /** Present when the step failed: wait before the next. */
  failure?: ApiError
}

/** Performs the one thing that the state asks for. Never throws. */
export async function step<T extends KubeObject>(
  state: WatchState<T>,
  source: WatchSource<T>,
): Promise<Step<T>> {
  try {
    switch (state.phase) {
      case 'Empty':
        return { state: { phase: 'Listing', pageSize: state.pageSize }, output: { type: 'restarted' } }
      case 'Listing':
        return afterPage(state, await source.list(state.pageSize, state.continueToken))
      case 'Listed': {
        const stream = await source.watch(state.resourceVersion)
        return { state: { ...state, phase: 'Watching', stream } }
      }
      case 'Watching':
        return afterEvent(state, await state.stream.next())
    }
  } catch (error) {
    const failure = asApiError(error)
    return { state: fallBack(state, failure), failure }
  }
}

type In<T extends KubeObject, Phase extends WatchState<T>['phase']> = WatchState<T> & { phase: Phase }

function afterPage<T extends KubeObject>(state: In<T, 'Listing'>, page: ListPage<T>): Step<T> {
  const output: WatchOutput<T> = { type: 'page', objects: page.items }
  const { pageSize } = state
  if (page.continueToken) {
    return { state: { phase: 'Listing', pageSize, continueToken: page.continueToken }, output }
  }
  const { resourceVersion } = page
  return { state: { phase: 'Listed', pageSize, resourceVersion, refusals: 0 }, output }
}

function afterEvent<T extends KubeObject>(
  state: In<T, 'Watching'>,
  event: WatchEvent<T> | undefined,
): Step<T> {
  if (!event) return { state: listedAgain(state) }
  const resourceVersion = event.object.metadata.resourceVersion ?? state.resourceVersion
  const next: WatchState<T> = { ...state, resourceVersion, refusals: 0 }
  if (event.type === 'BOOKMARK') return { state: next }
  const type = event.type === 'DELETED' ? 'deleted' : 'applied'
  return { state: next, output: { type, object: event.object } }
}

/** The state from which to go on after a failure. */
export function fallBack<T extends KubeObject>(state: WatchState<T>, failure: ApiError): WatchState<T> {
  switch (state.phase) {
    case 'Empty':
      return state
    case 'Listing':
      if (failure.reason === 'ResponseTooLarge') return empty(Math.max(1, Math.floor(state.pageSize / 4)))
      return failure.isExpired ? empty(state.pageSize) : state
    case 'Listed':
    case 'Watching':
      return mustListAgain(failure, state.refusals) ? empty(state.pageSize) : listedAgain(state, failure)
  }
}

const REFUSALS_BEFORE_LISTING = 3
const REFUSED_FOR_GOOD = new Set([400, 404, 410, 422])

/**
 * A version that is gone (410), or that the server does not understand, will not get better. Nor will an event that
 * we cannot read: it would come again. A server restored from a backup refuses our version with 504 for ever.
 */
function mustListAgain(failure: ApiError, refusals: number): boolean {
  if (REFUSED_FOR_GOOD.has(failure.status)) return true
  if (failure.reason === 'ResponseTooLarge' || failure.reason === 'MalformedResponse') return true
  return failure.status >= 500 && refusals + 1 >= REFUSALS_BEFORE_LISTING
}

function listedAgain<T extends KubeObject>(
  state: In<T, 'Listed' | 'Watching'>,
  failure?: ApiError,
): WatchState<T> {
  const refused = failure !== undefined && failure.status >= 500
  const { pageSize, resourceVersion, refusals } = state
  return { phase: 'Listed', pageSize, resourceVersion, refusals: refused ? refusals + 1 : refusals }
}

function empty(pageSize: number): { phase: 'Empty'; pageSize: number } {
  return { phase: 'Empty', pageSize }
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return new ApiError({ status: 0, reason: 'ConnectionFailed', message: messageOf(error), cause: error })
}

export interface Trouble {
  reason: string
  message: string
  /** What we wait before going on. */
  delayMs: number
}

export interface RunWatchOptions<T extends KubeObject> {
  source: WatchSource<T>
  sink: (output: WatchOutput<T>) => void
  /** Told of every failure and of streams that ended at once, with the wait that follows. */
  onTrouble: (trouble: Trouble) => void
  timing: WatchTiming
  clock: Clock
  random: Random
  signal: AbortSignal
}

/** Steps until the signal aborts. */
export async function runWatch<T extends KubeObject>(options: RunWatchOptions<T>): Promise<void> {
  const { source, sink, timing, clock, signal } = options
  const patience = new Patience(timing, options.random)
  let state: WatchState<T> = { phase: 'Empty', pageSize: timing.pageSize }
  let streamOpenedAt = clock.monotonic()
  while (!signal.aborted) {
    const before: WatchState<T> = state
    const result: Step<T> = await step(before, source)
    state = result.state
    if (isAborted(signal)) break
    if (result.output) sink(result.output)
    if (before.phase === 'Listing' && state.phase === 'Listed') sink({ type: 'listed' })
    if (state.phase === 'Watching' && before.phase === 'Listed') streamOpenedAt = clock.monotonic()
    const trouble = patience.judge(before, result, clock.monotonic() - streamOpenedAt)
    if (!trouble) continue
    options.onTrouble(trouble)
    await sleep(clock, trouble.delayMs, signal)
  }
  if (state.phase === 'Watching') state.stream.close()
}

/** The compiler believes that `aborted` cannot change during an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

/** Counts failures in a row. Only a watch that works ends a row: lists may succeed between failing watches. */
class Patience {
  readonly #timing: WatchTiming
  readonly #random: Random
  #failures = 0

  constructor(timing: WatchTiming, random: Random) {
    this.#timing = timing
    this.#random = random
  }

  judge<T extends KubeObject>(
    before: WatchState<T>,
    after: Step<T>,
    streamAgeMs: number,
  ): Trouble | undefined {
    const watched = before.phase === 'Watching'
    const gotEvent = watched && after.state.phase === 'Watching'
    const lived = watched && streamAgeMs >= this.#timing.healthyAfterMs
    if (gotEvent || lived) this.#failures = 0
    const endedAtOnce = watched && !gotEvent && !lived
    if (!after.failure && !endedAtOnce) return undefined
    this.#failures += 1
    return this.#trouble(after.failure)
  }

  #trouble(failure: ApiError | undefined): Trouble {
    const { backOffMinMs: minMs, backOffMaxMs: maxMs } = this.#timing
    const delayMs = backOffMs({ minMs, maxMs }, this.#failures, this.#random)
    if (!failure) return { reason: 'EndedAtOnce', message: 'watch: the stream ended at once', delayMs }
    const reason = failure.status > 0 ? `Http${String(failure.status)}` : failure.reason
    return { reason, message: failure.message, delayMs: Math.max(delayMs, failure.retryAfterMs ?? 0) }
  }
}
