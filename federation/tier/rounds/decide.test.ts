import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideRound, phaseOf, type RoundFacts } from './decide.ts'

const DEADLINE = 1_000

function aRound(changes: Partial<RoundFacts> = {}): RoundFacts {
  return {
    participants: ['a', 'b', 'c'],
    minimumUpdates: 2,
    deadlineMs: DEADLINE,
    paused: false,
    accepted: new Set(),
    failed: new Set(),
    unmergeable: false,
    short: false,
    committed: false,
    merged: false,
    closed: false,
    evaluation: { deadlineMs: 5_000, awaitedUntilMs: [] },
    ...changes,
  }
}

const set = (...names: string[]): Set<string> => new Set(names)
const before = DEADLINE - 1

describe('collecting', () => {
  it.each([
    {
      name: 'waits for the deadline while updates are missing',
      given: aRound({ accepted: set('a', 'b') }),
      now: before,
      want: { act: 'wait', wakeAtMs: DEADLINE },
    },
    {
      name: 'commits at once when every participant has sent its update',
      given: aRound({ accepted: set('a', 'b', 'c') }),
      now: before,
      want: { act: 'commit' },
    },
    {
      name: 'commits at the deadline with a quorum',
      given: aRound({ accepted: set('a', 'b') }),
      now: DEADLINE,
      want: { act: 'commit' },
    },
    {
      name: 'ends short when the strategy cannot merge what came, once nobody is awaited any more',
      given: aRound({ accepted: set('a', 'b', 'c'), unmergeable: true }),
      now: before,
      want: { act: 'endShort', reason: 'UpdatesNotMergeable' },
    },
    {
      name: 'waits for more updates while the strategy could not merge those that came',
      given: aRound({ accepted: set('a', 'b'), unmergeable: true }),
      now: before,
      want: { act: 'wait', wakeAtMs: DEADLINE },
    },
    {
      name: 'ends short at the deadline without a quorum',
      given: aRound({ accepted: set('a') }),
      now: DEADLINE,
      want: { act: 'endShort', reason: 'DeadlineExceeded' },
    },
    {
      name: 'does not wait for participants that failed',
      given: aRound({ accepted: set('a', 'b'), failed: set('c') }),
      now: before,
      want: { act: 'commit' },
    },
    {
      name: 'goes on while the quorum can still be met in spite of a failure',
      given: aRound({ accepted: set('a'), failed: set('c') }),
      now: before,
      want: { act: 'wait', wakeAtMs: DEADLINE },
    },
    {
      name: 'ends short as soon as failures put the quorum out of reach',
      given: aRound({ accepted: set('a'), failed: set('b', 'c') }),
      now: 0,
      want: { act: 'endShort', reason: 'QuorumOutOfReach' },
    },
    {
      name: 'counts updates accepted in an earlier attempt',
      given: aRound({ participants: ['b'], accepted: set('a', 'b') }),
      now: before,
      want: { act: 'commit' },
    },
    {
      name: 'commits as soon as a buffer is full, whoever else still trains',
      given: aRound({ bufferSize: 2, accepted: set('a', 'x') }),
      now: 0,
      want: { act: 'commit' },
    },
    {
      name: 'waits for a buffer that is not full, although the quorum is met',
      given: aRound({ bufferSize: 3, accepted: set('a', 'x') }),
      now: before,
      want: { act: 'wait', wakeAtMs: DEADLINE },
    },
    {
      name: 'commits a buffer that is not full once nobody trains for it any more',
      given: aRound({ bufferSize: 9, accepted: set('a', 'b'), failed: set('c') }),
      now: before,
      want: { act: 'commit' },
    },
    {
      name: 'commits a buffer that is not full at the deadline',
      given: aRound({ bufferSize: 3, accepted: set('a', 'x') }),
      now: DEADLINE,
      want: { act: 'commit' },
    },
    {
      name: 'does not commit a full buffer below the quorum',
      given: aRound({ bufferSize: 1, accepted: set('a') }),
      now: before,
      want: { act: 'wait', wakeAtMs: DEADLINE },
    },
    {
      name: 'decides nothing while paused, not even at the deadline',
      given: aRound({ accepted: set('a', 'b', 'c'), paused: true }),
      now: DEADLINE + 1,
      want: { act: 'wait' },
    },
  ])('$name', ({ given, now, want }) => {
    expect(decideRound(given, now)).toEqual({ phase: 'Collecting', ...want })
  })
})

describe('after collecting', () => {
  const merged = { committed: true, merged: true }
  it.each([
    {
      name: 'a short round waits for a further attempt, whatever the time',
      given: aRound({ short: true, accepted: set('a') }),
      now: DEADLINE * 9,
      want: { phase: 'Short', act: 'wait' },
    },
    {
      name: 'a committed round is merged, even when the attempt was once short',
      given: aRound({ committed: true, short: true }),
      now: 0,
      want: { phase: 'Merging', act: 'merge' },
    },
    {
      name: 'evaluation waits for connected participants until its deadline',
      given: aRound({
        ...merged,
        evaluation: { deadlineMs: 5_000, awaitedUntilMs: [Number.POSITIVE_INFINITY] },
      }),
      now: 10,
      want: { phase: 'Evaluating', act: 'wait', wakeAtMs: 5_000 },
    },
    {
      name: 'evaluation wakes when the last absent participant is no longer awaited',
      given: aRound({ ...merged, evaluation: { deadlineMs: 5_000, awaitedUntilMs: [20, 30] } }),
      now: 25,
      want: { phase: 'Evaluating', act: 'wait', wakeAtMs: 30 },
    },
    {
      name: 'evaluation ends when nobody is awaited any more',
      given: aRound({ ...merged, evaluation: { deadlineMs: 5_000, awaitedUntilMs: [20, 30] } }),
      now: 30,
      want: { phase: 'Evaluating', act: 'close' },
    },
    {
      name: 'evaluation ends when all have answered',
      given: aRound(merged),
      now: 0,
      want: { phase: 'Evaluating', act: 'close' },
    },
    {
      name: 'evaluation ends at its deadline',
      given: aRound({
        ...merged,
        evaluation: { deadlineMs: 5_000, awaitedUntilMs: [Number.POSITIVE_INFINITY] },
      }),
      now: 5_000,
      want: { phase: 'Evaluating', act: 'close' },
    },
    {
      name: 'a closed round is done for good',
      given: aRound({ ...merged, closed: true }),
      now: 9_999,
      want: { phase: 'Done', act: 'wait' },
    },
  ])('$name', ({ given, now, want }) => {
    expect(decideRound(given, now)).toEqual(want)
  })
})

describe('for every set of facts', () => {
  const names = ['a', 'b', 'c', 'd']
  const subset = fc.subarray(names).map((chosen) => new Set(chosen))
  const anyRound = fc
    .record({ minimumUpdates: fc.integer({ min: 1, max: 4 }), accepted: subset, failed: subset })
    .map((changes) => aRound({ participants: names, ...changes }))

  it('a collecting round never outlives its deadline and never commits below quorum', () => {
    fc.assert(
      fc.property(anyRound, (facts) => {
        const { act } = decideRound(facts, DEADLINE)
        expect(act).toBe(facts.accepted.size >= facts.minimumUpdates ? 'commit' : 'endShort')
      }),
    )
  })

  it('a wait always has an end in the future', () => {
    fc.assert(
      fc.property(anyRound, fc.integer({ min: 0, max: 2 * DEADLINE }), (facts, now) => {
        const decision = decideRound(facts, now)
        if (decision.act === 'wait') expect(decision.wakeAtMs).toBeGreaterThan(now)
      }),
    )
  })

  it('the phase follows from the evidence', () => {
    expect(phaseOf(aRound())).toBe('Collecting')
    expect(phaseOf(aRound({ short: true }))).toBe('Short')
    expect(phaseOf(aRound({ short: true, committed: true }))).toBe('Merging')
  })
})
