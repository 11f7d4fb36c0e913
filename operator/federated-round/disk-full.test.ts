// A hub without room on its disk: the campaign does not progress, says why, and warns once.
import { describe, expect, it } from 'vitest'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import { aCampaign, aRoundState, aSight } from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import { transitions } from './transitions.ts'

const message = 'the disk has 1.0 MiB free; an update of 2.0 MiB must leave 9.0 MiB for records and merging'

function statusIn(phase: Phase, full = true): FederatedRoundStatus {
  const current = aRoundState({ phase, ...(full && { reason: 'DiskFull', message }) })
  const { status } = decide(aSight({ campaign: aCampaign({ current }) }))
  if (!status) throw new Error('unreachable: a round that is not deleted has a status')
  return status
}

describe.each([Phase.COLLECTING, Phase.MERGING, Phase.EVALUATING])('a full disk while %s', (phase) => {
  it('is a condition that says what is free and needed', () => {
    const { conditions } = statusIn(phase)
    for (const type of ['Progressing', 'Ready']) {
      expect(conditions?.find((one) => one.type === type)).toMatchObject({
        ...{ status: 'False', reason: 'DiskFull' },
        message: `round 1: ${message}; what was accepted is kept, and the round goes on when there is room`,
      })
    }
  })

  it('warns when it begins, and is over when there is room', () => {
    const [full, roomy] = [statusIn(phase), statusIn(phase, false)]
    const warned = transitions(roomy, full).filter(({ reason }) => reason === 'DiskFull')
    expect(warned).toMatchObject([{ type: 'Warning' }])
    expect(transitions(full, full)).toEqual([])
    const progressing = roomy.conditions?.find(({ type }) => type === 'Progressing')
    expect(progressing).toMatchObject({ status: 'True', reason: 'RoundRunning' })
  })
})
