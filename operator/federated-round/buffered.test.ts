// What is different with FedBuff: nodes train on while rounds come and go.
import { describe, expect, it } from 'vitest'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import {
  aCampaign,
  aNode,
  aParticipant,
  aPod,
  aRound,
  aRoundState,
  aSight,
  SECOND,
  T0,
} from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { Observation } from './decision.ts'

const buffered = (perRound: number) =>
  aRound({
    aggregation: { strategy: { type: 'FedBuff', fedBuff: { bufferSize: 2 } } },
    participants: { profiles: ['gateway'], perRound },
    rounds: 50,
  })

function drawn(seen: Observation): string[] | undefined {
  const action = decide(seen).actions.find(({ kind }) => kind === 'applyCampaign')
  return action?.kind === 'applyCampaign' ? action.plan.round?.participants : undefined
}

const nodes = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => aNode(name))

describe('the draw', () => {
  const after = (trainsFrom: Record<string, number>, round: number, changes: Partial<Observation> = {}) =>
    aSight({
      round: buffered(3),
      nodes,
      campaign: aCampaign({
        current: aRoundState({ round, phase: Phase.DONE, closedUnixMs: T0 }),
        participants: nodes.map(({ name }) =>
          aParticipant(name, { round, trainsFrom: trainsFrom[name] ?? 0 }),
        ),
      }),
      ...changes,
    })

  it.each([1, 2, 3, 4, 5, 6])(
    'after round %i keeps who still trains, and fills the other places',
    (round) => {
      const participants = drawn(after({ d: 1, e: round }, round))
      expect(participants).toEqual(expect.arrayContaining(['d', 'e']))
      expect(participants).toHaveLength(3)
    },
  )

  it('gives the place of a node that is not Ready to another', () => {
    const unreachable = nodes.map((node) => (node.name === 'd' ? aNode('d', { ready: 'Unknown' }) : node))
    const participants = drawn(after({ d: 1, e: 1 }, 1, { nodes: unreachable }))
    expect(participants).toContain('e')
    expect(participants).not.toContain('d')
    expect(participants).toHaveLength(3)
  })

  it.each([Phase.DONE, Phase.SHORT])(
    'after a round that is %s does not keep a place for a pod that went away',
    (phase) => {
      const participants = nodes.map(({ name }) =>
        aParticipant(name, { trainsFrom: Number('cdef'.includes(name)), connected: name !== 'd' }),
      )
      const current = aRoundState({ phase, closedUnixMs: T0 - 60 * SECOND })
      expect(drawn(after({}, 1, { campaign: aCampaign({ current, participants }) }))).toEqual(['c', 'e', 'f'])
    },
  )

  it('goes on with too few Ready nodes when the next buffer has the quorum with what is in it', () => {
    const two = [aNode('a'), aNode('b', { ready: 'Unknown' })]
    const campaign = (countsNext: boolean): Observation['campaign'] =>
      aCampaign({
        current: aRoundState({ phase: Phase.DONE, closedUnixMs: T0 }),
        participants: [aParticipant('a'), aParticipant('b', { countsNext, connected: false })],
      })
    expect(drawn(after({}, 1, { nodes: two, campaign: campaign(true) }))).toEqual(['a', 'b'])
    expect(drawn(after({}, 1, { nodes: two, campaign: campaign(false) }))).toBeUndefined()
  })

  it('forgets a node that no longer matches', () => {
    expect(drawn(after({ gone: 1, e: 1 }, 1))).not.toContain('gone')
  })
})

describe('the status', () => {
  const evaluating = aCampaign({
    current: aRoundState({ phase: Phase.EVALUATING, received: 2, wanted: 2 }),
    participants: [
      aParticipant('a', { updateAccepted: true }),
      aParticipant('b', { updateAccepted: true }),
      aParticipant('c', { trainsFrom: 1 }),
    ],
  })
  const pods = [aPod('a'), aPod('b'), aPod('c')]

  it('calls nobody late who trains on', () => {
    expect(decide(aSight({ round: buffered(3), campaign: evaluating, pods })).status?.participants).toEqual(
      [],
    )
  })

  it('still says who has no connection', () => {
    const { state } = evaluating as Extract<typeof evaluating, { kind: 'known' }>
    const participants = state.participants.map((one) =>
      one.node === 'c' ? { ...one, connected: false } : one,
    )
    const campaign = aCampaign({ ...state, participants })
    const { status } = decide(aSight({ round: buffered(3), campaign, pods }))
    expect(status?.participants?.map(({ node, reason }) => [node, reason])).toEqual([['c', 'NotConnected']])
  })

  it('says with which updates the round closes', () => {
    const campaign = aCampaign({ current: aRoundState({ wanted: 2, minimumUpdates: 1 }) })
    const { status } = decide(aSight({ now: T0 + SECOND, round: buffered(3), campaign, pods }))
    expect(status?.updatesProgress).toBe('0/2')
    expect(status?.conditions?.find(({ type }) => type === 'Progressing')?.message).toBe(
      'round 1, attempt 1: 3 nodes train, closes with the first 2 updates, or with at least 1 at 2026-01-01T00:01:00Z at the latest',
    )
  })
})
