// Which parent a training pod or an edge controller belongs to at the moment: the hub, or a controller that was introduced to it.
// Pure: what was seen and when goes in, where to go comes out. An introduced controller is followed at once and kept for as long as it
// answers; after a silence it goes back to whom it came from, and does not return to the one that failed before a pause
// that grows. A controller that a later one of its tier has replaced is never followed.
import type { Parent } from '#federation/wire/generated/tributary.ts'

/** A parent that has not answered for this long is left. */
export const SILENCE_MS = 30_000
/** How long one that was left is not tried again: at first, and at most. */
const PAUSE_MS = { initial: 30_000, maximum: 300_000 }
/** One that answered for this long was a good one: its next failure is its first. */
const GOOD_MS = 60_000

export interface Standing {
  readonly at: 'hub' | 'controller'
  /** The controller that was introduced last; absent once the hub itself has said what to do. */
  readonly parent?: Parent
  /** The highest epoch seen, by tier. */
  readonly epochs: Readonly<Record<string, number>>
  /** Since when the present parent has not answered; absent while it does. */
  readonly silentSinceMs?: number
  /** Since when it answers. */
  readonly answersSinceMs?: number
  /** How often in a row the introduced controller was left for its silence. */
  readonly failures: number
  /** Before this time it is not tried again. */
  readonly retryAtMs: number
}

export type Event =
  /** The present parent introduced an edge controller. */
  | { readonly kind: 'introduced'; readonly parent: Parent }
  /** It said anything else. */
  | { readonly kind: 'answered' }
  /** The stream to it broke, or could not be opened. */
  | { readonly kind: 'lost' }
  /** It said itself that it is the parent no more. */
  | { readonly kind: 'dismissed' }
  | { readonly kind: 'timePassed' }

export interface Moment {
  /** Of a clock that does not jump. */
  readonly nowMs: number
  /** Uniform in [0, 1). */
  readonly random: number
}

/** Of a pod that starts: with the hub, whatever it remembers. */
export function standingAtStart(
  remembered: Pick<Standing, 'parent' | 'epochs'> | undefined,
  nowMs: number,
): Standing {
  return { epochs: {}, ...remembered, at: 'hub', silentSinceMs: nowMs, failures: 0, retryAtMs: nowMs }
}

export function advance(standing: Standing, event: Event, moment: Moment): Standing {
  switch (event.kind) {
    case 'introduced':
      return introduced(answered(standing, moment), event.parent, moment)
    case 'answered':
      return heard(answered(standing, moment))
    case 'lost':
      return lost(standing, moment)
    case 'dismissed':
      return standing.at === 'controller' ? leave(standing, moment) : lost(standing, moment)
    case 'timePassed':
      return afterTime(standing, moment)
  }
}

/** When time alone may change something; absent when it never does. */
export function nextChangeMs({ at, parent, silentSinceMs, retryAtMs }: Standing): number | undefined {
  if (at === 'controller') return silentSinceMs === undefined ? undefined : silentSinceMs + SILENCE_MS
  if (!parent) return undefined
  return silentSinceMs === undefined ? retryAtMs : Math.max(retryAtMs, silentSinceMs + SILENCE_MS)
}

/** Whether two standings mean the same connection. */
export function isSamePlace(one: Standing, other: Standing): boolean {
  if (one.at !== other.at) return false
  return one.at === 'hub' || isSameController(one.parent, other.parent)
}

function isSameController(one: Parent | undefined, other: Parent | undefined): boolean {
  return (
    one?.tier === other?.tier &&
    one?.epoch === other?.epoch &&
    one?.address === other?.address &&
    one?.certificate === other?.certificate
  )
}

function answered({ silentSinceMs: _silence, ...standing }: Standing, { nowMs }: Moment): Standing {
  return { ...standing, answersSinceMs: standing.answersSinceMs ?? nowMs }
}

/** The hub's own word takes the place of any introduction before it. */
function heard(standing: Standing): Standing {
  if (standing.at === 'controller') return standing
  const { parent: _parent, ...without } = standing
  return { ...without, failures: 0 }
}

function introduced(standing: Standing, parent: Parent, moment: Moment): Standing {
  const { tier, epoch } = parent
  if (epoch < (standing.epochs[tier] ?? 0)) return standing
  const known = isSameController(standing.parent, parent)
  if (known && standing.at === 'controller') return standing
  const epochs = { ...standing.epochs, [tier]: epoch }
  if (known && standing.retryAtMs > moment.nowMs) return { ...standing, epochs }
  return goTo({ ...standing, epochs, parent, failures: known ? standing.failures : 0 }, 'controller', moment)
}

function lost({ answersSinceMs, ...standing }: Standing, { nowMs }: Moment): Standing {
  const wasGood = answersSinceMs !== undefined && nowMs - answersSinceMs >= GOOD_MS
  const failures = standing.at === 'controller' && wasGood ? 0 : standing.failures
  return { ...standing, failures, silentSinceMs: standing.silentSinceMs ?? nowMs }
}

function afterTime(standing: Standing, moment: Moment): Standing {
  const dueMs = nextChangeMs(standing)
  if (dueMs === undefined || moment.nowMs < dueMs) return standing
  return standing.at === 'controller' ? leave(standing, moment) : goTo(standing, 'controller', moment)
}

function leave(standing: Standing, moment: Moment): Standing {
  const pauseMs = Math.min(PAUSE_MS.initial * 2 ** standing.failures, PAUSE_MS.maximum)
  const retryAtMs = moment.nowMs + Math.ceil(pauseMs * (0.5 + moment.random / 2))
  return goTo({ ...standing, failures: Math.min(standing.failures + 1, 30), retryAtMs }, 'hub', moment)
}

function goTo(
  { answersSinceMs: _since, ...standing }: Standing,
  at: Standing['at'],
  { nowMs }: Moment,
): Standing {
  return { ...standing, at, silentSinceMs: nowMs }
}
