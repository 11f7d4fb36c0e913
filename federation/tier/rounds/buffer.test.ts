import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LateUpdates } from '#federation/wire/generated/tributary.ts'
import { bufferingOf, Buffers, placeUpdate, type BufferFacts } from './buffer.ts'

const digest = `sha256:${'0'.repeat(64)}`
const update = (participant: string, countsIn?: number) => ({
  ...{ participant, digest, size: 16, samples: 1, steps: 1, loss: 0, acceptedMs: 0 },
  ...(countsIn !== undefined && { countsIn }),
})

/** Buffers of two; round 5 collects, round 9 is the last, and nothing may be more than two merges old. */
function facts(buffers: Record<number, string[]> = {}, changes: Partial<BufferFacts> = {}): BufferFacts {
  const counting = (round: number): ReadonlySet<string> => new Set(buffers[round])
  return {
    ...{ bufferSize: 2, maxStaleness: 2, current: 5, committed: false, lastRound: 9, counting },
    ...changes,
  }
}

const said = (last: string, trainedFrom: number): string =>
  `no round up to ${last}, takes an update of a that was trained from round ${trainedFrom}`

describe('an update of a counts', () => {
  it.each([
    { name: 'in the round that it was trained from', given: facts(), from: 5, want: 5 },
    { name: 'in the current round when it is older', given: facts(), from: 4, want: 5 },
    { name: 'in the current round when it is as old as may be', given: facts(), from: 3, want: 5 },
    { name: 'with what others sent', given: facts({ 5: ['b'] }), from: 5, want: 5 },
    { name: 'in the next round when the buffer is full', given: facts({ 5: ['b', 'c'] }), from: 5, want: 6 },
    {
      name: 'in the next round when one of a is in the buffer',
      given: facts({ 5: ['a'] }),
      from: 5,
      want: 6,
    },
    {
      name: 'after every buffer that is full or has one of a',
      given: facts({ 5: ['b', 'c'], 6: ['a'] }),
      from: 5,
      want: 7,
    },
    {
      name: 'in the next round once this one is committed',
      given: facts({}, { committed: true }),
      from: 5,
      want: 6,
    },
    { name: 'in the last round', given: facts({}, { current: 8, committed: true }), from: 8, want: 9 },
    {
      name: 'in its own round only, when nothing stale is wanted',
      given: facts({ 5: ['b'] }, { maxStaleness: 0 }),
      from: 5,
      want: 5,
    },
  ])('$name', ({ given, from, want }) => {
    expect(placeUpdate(given, 'a', from)).toEqual({ round: want })
  })
})

describe('an update of a is late', () => {
  it.each([
    {
      name: 'when too many merges have passed',
      given: facts(),
      from: 2,
      want: said('4, as many as maxStaleness 2 allows', 2),
    },
    {
      name: 'when the commit of the current round makes it one too many',
      given: facts({}, { committed: true }),
      from: 3,
      want: said('5, as many as maxStaleness 2 allows', 3),
    },
    {
      name: 'when the buffers that it may count in are full',
      given: facts({ 5: ['b', 'c'], 6: ['b', 'd'] }),
      from: 4,
      want: said('6, as many as maxStaleness 2 allows', 4),
    },
    {
      name: 'when the last round is committed',
      given: facts({}, { current: 9, committed: true }),
      from: 9,
      want: said('9, the last', 9),
    },
    {
      name: 'when the last round has one of a',
      given: facts({ 9: ['a'] }, { current: 9 }),
      from: 9,
      want: said('9, the last', 9),
    },
  ])('$name', ({ given, from, want }) => {
    expect(placeUpdate(given, 'a', from)).toEqual({ refusal: want })
  })
})

describe('a late update of a that is carried over', () => {
  const carrying = (
    buffers: Record<number, string[]> = {},
    changes: Partial<BufferFacts> = {},
  ): BufferFacts =>
    facts(buffers, { bufferSize: undefined, maxStaleness: 9, current: 15, lastRound: 19, ...changes })

  it.each([
    { name: 'in the round that collects', given: carrying(), from: 14, want: 15 },
    { name: 'however many count there', given: carrying({ 15: ['b', 'c', 'd'] }), from: 14, want: 15 },
    { name: 'as long as its round is kept', given: carrying(), from: 6, want: 15 },
    {
      name: 'in the next round once that one is committed',
      given: carrying({}, { committed: true }),
      from: 14,
      want: 16,
    },
    { name: 'in the next round when a has one in this', given: carrying({ 15: ['a'] }), from: 14, want: 16 },
    { name: 'when it is not late at all, in its own', given: carrying({ 15: ['b'] }), from: 15, want: 15 },
    {
      name: 'after the older one that counts in its own',
      given: carrying({ 15: ['a'] }),
      from: 15,
      want: 16,
    },
  ])('counts $name', ({ given, from, want }) => {
    expect(placeUpdate(given, 'a', from)).toEqual({ round: want })
  })

  it.each([
    {
      name: 'its round is not kept any more',
      given: carrying(),
      from: 5,
      want: said('14, as many as 9 allows', 5),
    },
    {
      name: 'the last round is committed',
      given: carrying({}, { current: 19, committed: true }),
      from: 18,
      want: said('19, the last', 18),
    },
    {
      name: 'a has one in the last round',
      given: carrying({ 19: ['a'] }, { current: 19 }),
      from: 18,
      want: said('19, the last', 18),
    },
  ])('is dropped when $name', ({ given, from, want }) => {
    expect(placeUpdate(given, 'a', from)).toEqual({ refusal: want })
  })
})

describe('for every order in which updates arrive', () => {
  const names = ['a', 'b', 'c', 'd', 'e']
  const arrivals = fc.array(
    fc.record({ name: fc.constantFrom(...names), from: fc.integer({ min: 3, max: 5 }) }),
  )

  it('no buffer is overfull, nobody counts twice in one, and none is too old', () => {
    fc.assert(
      fc.property(arrivals, (sent) => {
        const buffers = new Buffers()
        const given = facts({}, { counting: (round) => buffers.of(round) })
        for (const { name, from } of sent) {
          const placing = placeUpdate(given, name, from)
          if ('refusal' in placing) continue
          expect(buffers.of(placing.round).has(name)).toBe(false)
          expect(placing.round - from).toBeLessThanOrEqual(2)
          buffers.add(from, update(name, placing.round))
        }
        for (let round = 1; round < 12; round++) expect(buffers.of(round).size).toBeLessThanOrEqual(2)
      }),
    )
  })

  it('what is late once stays late', () => {
    fc.assert(
      fc.property(arrivals, (sent) => {
        const buffers = new Buffers()
        const given = facts({}, { counting: (round) => buffers.of(round) })
        let late = false
        for (const { name, from } of sent) {
          late ||= 'refusal' in placeUpdate(given, 'a', 4)
          const placing = placeUpdate(given, name, from)
          if ('round' in placing) buffers.add(from, update(name, placing.round))
          if (late) expect(placeUpdate(given, 'a', 4)).toHaveProperty('refusal')
        }
      }),
    )
  })
})

describe('the buffers', () => {
  it('hold an update where its record says, and where it was trained when the record says nothing', () => {
    const buffers = new Buffers()
    buffers.add(3, update('a', 5))
    buffers.add(5, update('b'))
    expect(
      [...buffers.of(5).values()].map(({ participant, trainedFrom }) => [participant, trainedFrom]),
    ).toEqual([
      ['a', 3],
      ['b', 5],
    ])
    expect(buffers.of(3).size).toBe(0)
    buffers.forget(5)
    expect(buffers.of(5).size).toBe(0)
  })

  const fedBuff = { type: 'FedBuff', bufferSize: 4, maxStaleness: 7, serverLearningRate: 1 } as const
  const withRoomForAll = { bufferSize: undefined, maxStaleness: 9 }

  it.each([
    { of: fedBuff, late: LateUpdates.DROP, are: { bufferSize: 4, maxStaleness: 7 } },
    { of: { type: 'FedAvg' } as const, late: LateUpdates.DROP, are: undefined },
    { of: { type: 'FedAvg' } as const, late: LateUpdates.CARRY, are: withRoomForAll },
    { of: { type: 'FedAvg' } as const, late: LateUpdates.DISCOUNT, are: withRoomForAll },
  ])('of $of.type with $late late updates are $are', ({ of, late, are }) => {
    expect(bufferingOf(of, late)).toEqual(are)
  })
})
