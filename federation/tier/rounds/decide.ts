// When a round goes on to its next phase: a pure function of what is durably known and the time.
//
//   Collecting ──(all wanted updates in, or deadline with quorum)──▶ commit ─▶ Merging ─▶ Evaluating ─▶ Done
//       │  ▲      (or the buffer full, whoever else trains: FedBuff)               (all awaited answered,
//       ▼  │ (further attempt)                                                       or evaluation deadline)
//      Short  (deadline below quorum, quorum out of reach, or so many updates cannot be merged)
//
// The phase is always derived from the evidence, never stored, so a crash between two steps cannot contradict it.

export interface RoundFacts {
  /** Who may send an update in the current attempt. */
  readonly participants: readonly string[]
  readonly minimumUpdates: number
  /** So many updates end the round, whoever else trains; absent: everybody is awaited. */
  readonly bufferSize?: number | undefined
  readonly deadlineMs: number
  /** The plan wants no round now: nothing is decided by the clock, what was accepted is kept. */
  readonly paused: boolean
  /** Participants whose accepted update counts in this round, whenever it came. */
  readonly accepted: ReadonlySet<string>
  /** Participants that reported in this attempt that they cannot train. */
  readonly failed: ReadonlySet<string>
  /** The strategy cannot merge as many updates as are accepted. */
  readonly unmergeable: boolean
  /** This attempt was ended without a merge. */
  readonly short: boolean
  readonly committed: boolean
  readonly merged: boolean
  readonly closed: boolean
  readonly evaluation: EvaluationFacts
}

export interface EvaluationFacts {
  readonly deadlineMs: number
  /** For each evaluation still missing: until when it is worth waiting for (Infinity while the participant is connected). */
  readonly awaitedUntilMs: readonly number[]
}

export type Phase = 'Collecting' | 'Short' | 'Merging' | 'Evaluating' | 'Done'

export type RoundDecision =
  | { readonly phase: Phase; readonly act: 'wait'; readonly wakeAtMs?: number }
  | { readonly phase: Phase; readonly act: 'commit' | 'merge' | 'close' }
  | { readonly phase: Phase; readonly act: 'endShort'; readonly reason: string }

export function phaseOf(facts: RoundFacts): Phase {
  if (facts.closed) return 'Done'
  if (facts.merged) return 'Evaluating'
  if (facts.committed) return 'Merging'
  return facts.short ? 'Short' : 'Collecting'
}

export function decideRound(facts: RoundFacts, nowMs: number): RoundDecision {
  const phase = phaseOf(facts)
  switch (phase) {
    case 'Collecting':
      return decideCollecting(facts, nowMs)
    case 'Merging':
      return { phase, act: 'merge' }
    case 'Evaluating':
      return decideEvaluating(facts.evaluation, nowMs)
    case 'Short':
    case 'Done':
      return { phase, act: 'wait' }
  }
}

function decideCollecting(facts: RoundFacts, nowMs: number): RoundDecision {
  const phase = 'Collecting'
  if (facts.paused) return { phase, act: 'wait' }
  const received = facts.accepted.size
  const pending = facts.participants.filter((name) => !facts.accepted.has(name) && !facts.failed.has(name))
  const atQuorum = received >= facts.minimumUpdates
  const isFull = received >= (facts.bufferSize ?? Number.POSITIVE_INFINITY)
  if (atQuorum && (isFull || pending.length === 0 || nowMs >= facts.deadlineMs)) {
    return facts.unmergeable
      ? { phase, act: 'endShort', reason: 'UpdatesNotMergeable' }
      : { phase, act: 'commit' }
  }
  if (received + pending.length < facts.minimumUpdates) {
    return { phase, act: 'endShort', reason: 'QuorumOutOfReach' }
  }
  if (nowMs >= facts.deadlineMs) return { phase, act: 'endShort', reason: 'DeadlineExceeded' }
  return { phase, act: 'wait', wakeAtMs: facts.deadlineMs }
}

function decideEvaluating(evaluation: EvaluationFacts, nowMs: number): RoundDecision {
  const phase = 'Evaluating'
  const awaited = evaluation.awaitedUntilMs.filter((untilMs) => untilMs > nowMs)
  if (awaited.length === 0 || nowMs >= evaluation.deadlineMs) return { phase, act: 'close' }
  return { phase, act: 'wait', wakeAtMs: Math.min(evaluation.deadlineMs, Math.max(...awaited)) }
}
