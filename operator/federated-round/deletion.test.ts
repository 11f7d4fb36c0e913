import { describe, expect, it } from 'vitest'
import type { Observation } from './decision.ts'
import { aNode, aPod, aRound, aSight, SECOND, T0 } from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import { transitions } from './transitions.ts'

const DELETED = T0 + 100 * SECOND
const unreachable = aNode('a', { ready: 'Unknown', readySince: '2026-01-01T00:00:07Z' })

function seen(changes: Partial<Observation> = {}): Observation {
  const round = aRound({ maxOfflineSeconds: 600 }, { deleting: true, deletedAt: DELETED })
  return aSight({
    round,
    now: DELETED + 10 * SECOND,
    nodes: [unreachable, aNode('b'), aNode('c')],
    ...changes,
  })
}

const kinds = (given: Observation): string[] => decide(given).actions.map(({ kind }) => kind)
const progressing = (given: Observation) =>
  decide(given).status?.conditions?.find(({ type }) => type === 'Progressing')

describe('a FederatedRound that was deleted', () => {
  it.each([
    {
      name: 'has its part of the hub deleted, which tells its pods, and then these, and stays',
      pods: [aPod('a')],
      want: ['deleteCampaign', 'deletePod'],
    },
    {
      name: 'has its pods deleted although the hub does not answer',
      pods: [aPod('a')],
      campaign: { kind: 'unreachable', message: 'no answer' } as const,
      want: ['deletePod', 'deleteCampaign'],
    },
    {
      name: 'stays as long as a pod is going away',
      pods: [aPod('a', { deleting: true })],
      want: ['deleteCampaign'],
    },
    {
      name: 'goes once no pod is left',
      pods: [],
      want: ['expectNoPods', 'deleteCampaign', 'removeFinalizer'],
    },
    {
      name: 'stays until the last moment of maxOfflineSeconds',
      pods: [aPod('a', { deleting: true })],
      now: DELETED + 600 * SECOND - 1,
      want: ['deleteCampaign'],
    },
    {
      name: 'goes after maxOfflineSeconds, whatever became of the pod',
      pods: [aPod('a', { deleting: true })],
      now: DELETED + 600 * SECOND,
      want: ['deleteCampaign', 'removeFinalizer'],
    },
  ])('$name', ({ pods, now, campaign, want }) => {
    const changes = { ...(now !== undefined && { now }), ...(campaign && { campaign }) }
    expect(kinds(seen({ pods, ...changes }))).toEqual(want)
  })

  it('says which pods are awaited, on which node, since when that is unreachable, and until when', () => {
    const given = seen({ pods: [aPod('b'), aPod('a')] })
    const [a, b] = ['a', 'b'].map((node) => aPod(node).name)
    expect(decide(given).status?.phase).toBe('Deleting')
    expect(progressing(given)).toMatchObject({
      status: 'False',
      reason: 'AwaitingPods',
      message:
        `deleted; until 2026-01-01T00:11:40Z these pods are awaited: ` +
        `${a} (node a, unreachable since 2026-01-01T00:00:07Z), ${b} (node b)`,
    })
    expect(decide(given).requeueAfterMs).toBe(15_000)
  })

  it('keeps what the campaign was told to be', () => {
    const running = decide(aSight()).status
    const given = seen({ pods: [aPod('a')] })
    const { status } = decide({ ...given, round: { ...given.round, status: running } })
    expect(status?.conditions?.map(({ type }) => type).sort()).toEqual(
      running?.conditions?.map(({ type }) => type).sort(),
    )
    expect(status?.rounds).toBe(3)
  })

  it('says the same again when nothing has changed', () => {
    const given = seen({ pods: [aPod('a', { deleting: true })] })
    const { status } = decide(given)
    const later = { ...given, now: given.now + 1000, round: { ...given.round, status } }
    expect(decide(later).status).toEqual(status)
  })

  it('names ten pods, and how many more there are', () => {
    const pods = Array.from({ length: 12 }, (_, i) => aPod(`n${i}`, { deleting: true }))
    expect(progressing(seen({ pods }))?.message).toMatch(
      /(\S+ \(node n\d+\), ){9}\S+ \(node n\d+\) and 2 more$/,
    )
  })

  it('warns of pods that it gave up', () => {
    const given = seen({ pods: [aPod('a', { deleting: true })], now: DELETED + 600 * SECOND })
    const { status } = decide(given)
    expect(transitions(undefined, status!)).toContainEqual({
      type: 'Warning',
      reason: 'PodsGivenUp',
      note: expect.stringContaining('these pods may still run: ') as string,
    })
  })

  it('that is not ours to finish is left alone', () => {
    const round = aRound({}, { deleting: true, finalizers: ['other/finalizer'] })
    expect(decide(seen({ round, pods: [aPod('a')] }))).toEqual({ actions: [] })
  })
})
