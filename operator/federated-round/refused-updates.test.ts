// People are told of a node that sends other bytes for what was accepted: in the status, and by one event.
import { expect, it } from 'vitest'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { Conflict } from '#federation/wire/generated/tributary.ts'
import { aCampaign, aRoundState, aSight } from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import { transitions } from './transitions.ts'

const digest = (of: string): string => `sha256:${of.repeat(64)}`
const conflict = (node: string, round = 1): Conflict => ({
  ...{ round, node, acceptedDigest: digest('a'), refusedDigest: digest('b') },
})

function statusWith(...conflicts: Conflict[]): FederatedRoundStatus {
  const { status } = decide(aSight({ campaign: aCampaign({ current: aRoundState(), conflicts }) }))
  if (!status) throw new Error('unreachable: a round that is not deleted has a status')
  return status
}

const eventsOf = (before: FederatedRoundStatus, after: FederatedRoundStatus): string[] =>
  transitions(before, after).flatMap(({ type, reason, note }) =>
    reason === 'OtherBytesRefused' ? [`${type} ${note}`] : [],
  )

it('with both digests, once a node and round', () => {
  const [none, first] = [statusWith(), statusWith(conflict('x'))]
  const later = statusWith(conflict('y'), conflict('x', 2), conflict('x'))
  expect(none.refusedUpdates).toBeUndefined()
  expect(first.refusedUpdates).toEqual([conflict('x')])
  expect(eventsOf(none, first)).toEqual([
    `Warning x: its update to round 1 was accepted with ${digest('a')}; ${digest('b')} is refused`,
  ])
  expect(eventsOf(first, first)).toEqual([])
  expect(eventsOf(first, later).map((note) => note.slice(0, 31))).toEqual([
    'Warning y: its update to round ',
    'Warning x: its update to round ',
  ])
})

it('of at most ten in the status', () => {
  const many = Array.from({ length: 12 }, (_, i) => conflict(`n${i}`))
  expect(statusWith(...many).refusedUpdates).toEqual(many.slice(0, 10))
})
