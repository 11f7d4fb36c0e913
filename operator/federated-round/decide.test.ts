import { describe, expect, it } from 'vitest'
import { RoundState_Phase as Phase, type RoundState } from '#federation/wire/generated/tributary.ts'
import {
  aCampaign,
  aNode,
  aParticipant,
  aPod,
  aProfile,
  aRound,
  aRoundState,
  aSight,
  SECOND,
  T0,
} from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { Action, Observation } from './decision.ts'

const done = (round: number, changes = {}) =>
  aRoundState({
    round,
    phase: Phase.DONE,
    received: 3,
    closedUnixMs: T0 + 5 * SECOND,
    metrics: { accuracy: 0.5, loss: 1 },
    ...changes,
  })

function kinds(actions: Action[]): string[] {
  return actions.map((action) => action.kind)
}

function condition(seen: Observation, type: string) {
  return decide(seen).status?.conditions?.find((entry) => entry.type === type)
}

function plan(seen: Observation) {
  const action = decide(seen).actions.find((entry) => entry.kind === 'applyCampaign')
  return action?.kind === 'applyCampaign' ? action.plan : undefined
}

interface Row {
  name: string
  given: Partial<Observation>
  wantPhase: string
  wantReason: string
  wantActions: string[]
}

const ROWS: Row[] = [
  {
    name: 'plans the first round when model and nodes are there',
    given: {},
    wantPhase: 'Training',
    wantReason: 'RoundPlanned',
    wantActions: ['createPod', 'createPod', 'createPod', 'applyCampaign'],
  },
  {
    name: 'adds the finalizer before anything that would need cleaning up',
    given: { round: aRound({}, { finalizers: [] }) },
    wantPhase: 'Training',
    wantReason: 'RoundPlanned',
    wantActions: ['addFinalizer', 'createPod', 'createPod', 'createPod', 'applyCampaign'],
  },
  {
    name: 'waits for a model that does not exist',
    given: { model: undefined },
    wantPhase: 'Waiting',
    wantReason: 'WaitingForModel',
    wantActions: [],
  },
  {
    name: 'waits for a model that is not admitted yet',
    given: { model: { uid: 'uid-model', admitted: 'NotYet', message: 'reading', agents: [] } },
    wantPhase: 'Waiting',
    wantReason: 'WaitingForModel',
    wantActions: [],
  },
  {
    name: 'fails when the model was refused',
    given: { model: { uid: 'uid-model', admitted: 'Refused', message: 'operator TopK', agents: [] } },
    wantPhase: 'Failed',
    wantReason: 'Failed',
    wantActions: [],
  },
  {
    name: 'leaves everything alone while the hub is silent',
    given: { campaign: { kind: 'unreachable', message: 'refused' }, pods: [aPod('a')] },
    wantPhase: 'Waiting',
    wantReason: 'HubUnreachable',
    wantActions: [],
  },
  {
    name: 'waits when a profile is missing',
    given: { profiles: [], missingProfiles: ['gateway'] },
    wantPhase: 'Waiting',
    wantReason: 'WaitingForNodes',
    wantActions: [],
  },
  {
    name: 'waits when fewer nodes are Ready than the quorum needs',
    given: { nodes: [aNode('a'), aNode('b', { ready: 'Unknown' }), aNode('c', { unschedulable: true })] },
    wantPhase: 'Waiting',
    wantReason: 'WaitingForNodes',
    wantActions: [],
  },
  {
    name: 'goes on with the running round after a restart',
    given: { campaign: aCampaign({ current: aRoundState() }), pods: [aPod('a'), aPod('b'), aPod('c')] },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'does not recreate the pod of an unreachable node, nor delete it',
    given: {
      nodes: [aNode('a', { ready: 'Unknown' }), aNode('b'), aNode('c')],
      campaign: aCampaign({ current: aRoundState() }),
      pods: [aPod('a'), aPod('b'), aPod('c')],
    },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'replaces a pod that failed',
    given: {
      campaign: aCampaign({ current: aRoundState() }),
      pods: [aPod('a', { phase: 'Failed' }), aPod('b'), aPod('c')],
    },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['deletePod', 'applyCampaign'],
  },
  {
    name: 'waits for a pod that is going away before it makes another',
    given: {
      campaign: aCampaign({ current: aRoundState() }),
      pods: [aPod('a', { deleting: true }), aPod('b'), aPod('c')],
    },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'removes the pod of a node that no longer matches',
    given: {
      nodes: [aNode('a', { labels: {} }), aNode('b'), aNode('c')],
      campaign: aCampaign({ current: aRoundState({ participants: ['b', 'c'] }) }),
      pods: [aPod('a'), aPod('b'), aPod('c')],
    },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['deletePod', 'applyCampaign'],
  },
  {
    name: 'plans the next round after one is done',
    given: { campaign: aCampaign({ current: done(1) }), pods: [aPod('a'), aPod('b'), aPod('c')] },
    wantPhase: 'Training',
    wantReason: 'RoundPlanned',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'publishes after the last round',
    given: { campaign: aCampaign({ current: done(3) }) },
    wantPhase: 'Publishing',
    wantReason: 'RoundRunning',
    wantActions: ['publishVersion'],
  },
  {
    name: 'publishes every round before it plans the next when told so',
    given: { round: aRound({ publish: 'EveryRound' }), campaign: aCampaign({ current: done(1) }) },
    wantPhase: 'Publishing',
    wantReason: 'RoundRunning',
    wantActions: ['publishVersion'],
  },
  {
    name: 'is complete when the last round is published; its pods go',
    given: {
      campaign: aCampaign({ current: done(3), publishedRound: 3, publishedVersion: 2 }),
      pods: [aPod('a')],
    },
    wantPhase: 'Completed',
    wantReason: 'Completed',
    wantActions: ['applyCampaign', 'deletePod'],
  },
  {
    name: 'is complete without publishing when told so',
    given: { round: aRound({ publish: 'Never' }), campaign: aCampaign({ current: done(3) }) },
    wantPhase: 'Completed',
    wantReason: 'Completed',
    wantActions: [],
  },
  {
    name: 'stops early when the target is reached',
    given: {
      round: aRound({ publish: 'Never', until: { metric: 'accuracy', atLeast: 0.5 } }),
      campaign: aCampaign({ current: done(1) }),
    },
    wantPhase: 'Completed',
    wantReason: 'TargetReached',
    wantActions: [],
  },
  {
    name: 'goes on while the target is missed by a hair',
    given: {
      round: aRound({ publish: 'Never', until: { metric: 'loss', atMost: 0.999 } }),
      campaign: aCampaign({ current: done(1) }),
    },
    wantPhase: 'Training',
    wantReason: 'RoundPlanned',
    wantActions: ['createPod', 'createPod', 'createPod', 'applyCampaign'],
  },
  {
    name: 'finishes the running round when suspended',
    given: {
      round: aRound({ suspend: true }),
      campaign: aCampaign({ current: aRoundState() }),
      pods: [aPod('a'), aPod('b'), aPod('c')],
    },
    wantPhase: 'Training',
    wantReason: 'RoundRunning',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'starts nothing when suspended and lets the pods go',
    given: { round: aRound({ suspend: true }), campaign: aCampaign({ current: done(1) }), pods: [aPod('a')] },
    wantPhase: 'Suspended',
    wantReason: 'Suspended',
    wantActions: ['deletePod'],
  },
  {
    name: 'tries a short round again',
    given: {
      campaign: aCampaign({ current: aRoundState({ phase: Phase.SHORT, received: 1 }) }),
      pods: ['a', 'b', 'c'].map((node) => aPod(node)),
    },
    wantPhase: 'Training',
    wantReason: 'RoundPlanned',
    wantActions: ['applyCampaign'],
  },
  {
    name: 'pauses after a short attempt, longer after each',
    given: {
      campaign: aCampaign({
        current: aRoundState({ phase: Phase.SHORT, attempt: 2, received: 1, closedUnixMs: T0 - 8 * SECOND }),
      }),
    },
    wantPhase: 'Waiting',
    wantReason: 'RetryingRound',
    wantActions: [],
  },
  {
    name: 'fails when the attempts are used up',
    given: {
      campaign: aCampaign({ current: aRoundState({ phase: Phase.SHORT, attempt: 3, received: 1 }) }),
      pods: [aPod('a')],
    },
    wantPhase: 'Failed',
    wantReason: 'Failed',
    wantActions: ['applyCampaign', 'deletePod'],
  },
  {
    name: 'fails when the training cannot be compiled',
    given: { campaign: aCampaign({ failureReason: 'TrainingNotPossible', failureMessage: 'no gradient' }) },
    wantPhase: 'Failed',
    wantReason: 'Failed',
    wantActions: [],
  },
  {
    name: 'fails at the active deadline',
    given: { round: aRound({ activeDeadlineSeconds: 10 }) },
    wantPhase: 'Failed',
    wantReason: 'Failed',
    wantActions: [],
  },
]

describe('decide on a FederatedRound', () => {
  it.each(ROWS)('$name', ({ given, wantPhase, wantReason, wantActions }) => {
    const seen = aSight(given)
    const { actions, status } = decide(seen)
    expect(status?.phase).toBe(wantPhase)
    expect(status?.conditions?.find((entry) => entry.type === 'Progressing')?.reason).toBe(wantReason)
    expect(kinds(actions)).toEqual(wantActions)
  })

  it.each(ROWS)('says the same again when nothing has changed: $name', ({ given }) => {
    const seen = aSight(given)
    const first = decide(seen).status
    const again = decide({ ...seen, now: seen.now + 1000, round: { ...seen.round, status: first } }).status
    expect(again).toEqual(first)
  })

  it('stays failed when the cause is gone', () => {
    const failed = decide(aSight({ round: aRound({ activeDeadlineSeconds: 10 }) })).status
    const later = decide(
      aSight({ round: aRound({}, { status: failed }), campaign: aCampaign({ current: done(1) }) }),
    )
    expect(later.status?.phase).toBe('Failed')
    expect(later.actions).toEqual([])
    expect(later.requeueAfterMs).toBeUndefined()
  })

  it.each(['TrainingNotPossible', 'MergeDiverged'])('says that it failed because of %s', (failureReason) => {
    const campaign = aCampaign({ failureReason, failureMessage: 'so it was', current: done(1) })
    const { status } = decide(aSight({ campaign }))
    expect(status?.conditions?.find(({ type }) => type === 'Failed')).toMatchObject({
      status: 'True',
      reason: failureReason,
      message: 'so it was',
    })
  })

  it('fails after waiting too long, counted from when the wait began', () => {
    const short = { nodes: [aNode('a')], round: aRound({ startDeadlineSeconds: 100 }) }
    const first = decide(aSight(short))
    expect(first.status?.waitingSince).toBe('2026-01-01T00:00:10Z')
    expect(first.requeueAfterMs).toBe(15 * SECOND)
    const waiting = aRound({ startDeadlineSeconds: 100 }, { status: first.status })
    const justBefore = decide(aSight({ ...short, round: waiting, now: T0 + 109.5 * SECOND }))
    expect(justBefore.status?.phase).toBe('Waiting')
    expect(justBefore.requeueAfterMs).toBe(500)
    expect(decide(aSight({ ...short, round: waiting, now: T0 + 110 * SECOND })).status?.phase).toBe('Failed')
  })

  it('keeps what it knew of the rounds while the hub is silent', () => {
    const before = decide(aSight({ campaign: aCampaign({ current: done(2), history: [done(1)] }) })).status
    const silent = decide(
      aSight({ round: aRound({}, { status: before }), campaign: { kind: 'unreachable', message: 'x' } }),
    ).status
    expect(silent?.round).toBe(2)
    expect(silent?.history).toEqual(before?.history)
    expect(silent?.metric).toBe('0.500')
  })
})

describe('a campaign that cannot go on', () => {
  const failedFor = (seen: Observation) => condition(seen, 'Failed')

  it('fails when the hub has forgotten it, instead of beginning again', () => {
    const status = decide(aSight({ campaign: aCampaign({ current: done(2) }) })).status
    const seen = aSight({ round: aRound({}, { status }), campaign: aCampaign({ known: false }) })
    expect(failedFor(seen)).toMatchObject({ status: 'True', reason: 'HubDataLost' })
  })

  it('fails when its model was deleted and made anew', () => {
    const seen = aSight({
      campaign: aCampaign({ modelUid: 'uid-of-the-first', current: aRoundState() }),
      pods: [aPod('a')],
    })
    expect(failedFor(seen)).toMatchObject({ status: 'True', reason: 'ModelReplaced' })
    expect(kinds(decide(seen).actions)).toContain('deletePod')
  })

  it('lets the pods go when it ends and the model is gone', () => {
    const status = decide(aSight({ round: aRound({ activeDeadlineSeconds: 10 }) })).status
    const seen = aSight({
      round: aRound({}, { status }),
      model: undefined,
      pods: [aPod('a')],
      campaign: aCampaign(),
    })
    expect(kinds(decide(seen).actions)).toEqual(['deletePod'])
  })

  it('says the same for ever once it has ended, whatever becomes of fleet and model', () => {
    const ended = decide(
      aSight({ round: aRound({ publish: 'Never' }), campaign: aCampaign({ current: done(3) }) }),
    ).status
    const later = aSight({
      round: aRound({}, { status: ended }),
      nodes: [],
      model: undefined,
      campaign: aCampaign({ known: false }),
    })
    expect(decide(later).status).toEqual(ended)
  })

  it('is suspended, not waiting for its model, when it never began', () => {
    const seen = aSight({ round: aRound({ suspend: true }), model: undefined })
    expect(decide(seen).status?.phase).toBe('Suspended')
  })
})

describe('the plan', () => {
  it('names each training pod that may connect, and the round', () => {
    expect(plan(aSight())).toMatchObject({
      uid: 'uid-round',
      modelUid: 'uid-model',
      participants: [{ node: 'a' }, { node: 'b' }, { node: 'c' }],
      round: {
        round: 1,
        attempt: 1,
        participants: ['a', 'b', 'c'],
        minimumUpdates: 2,
        deadlineSeconds: 60,
        rounds: 3,
        population: 3,
      },
      finished: false,
    })
  })

  it('keeps a running round as it was drawn when nodes come and go', () => {
    const current = aRoundState({ participants: ['a', 'b'] })
    const seen = aSight({
      nodes: [aNode('b'), aNode('c'), aNode('d')],
      campaign: aCampaign({ current }),
      pods: [aPod('b')],
    })
    expect(plan(seen)?.round?.participants).toEqual(['a', 'b'])
  })

  it('keeps nodes whose update is accepted when it tries a short round again', () => {
    const current = aRoundState({ phase: Phase.SHORT, received: 1, participants: ['a', 'b'] })
    const seen = aSight({
      round: aRound({ participants: { profiles: ['gateway'], perRound: 2 } }),
      nodes: [aNode('b'), aNode('c', { ready: 'False' }), aNode('d')],
      campaign: aCampaign({
        current,
        participants: [aParticipant('a', { updateAccepted: true }), aParticipant('b')],
      }),
    })
    expect(plan(seen)?.round?.attempt).toBe(2)
    expect(plan(seen)?.round?.participants).toContain('a')
    expect(plan(seen)?.round?.participants).toHaveLength(2)
    expect(plan(seen)?.round?.participants).not.toContain('c')
  })

  it('draws perRound nodes, other ones in other rounds, the same ones for the same round', () => {
    const names = Array.from({ length: 20 }, (_, index) => `n${String(index).padStart(2, '0')}`)
    const round = aRound({ participants: { profiles: ['gateway'], perRound: 5 }, rounds: 50 })
    const nodes = names.map((name) => aNode(name))
    const draws = Array.from({ length: 30 }, (_, index) => {
      const campaign = index === 0 ? aCampaign() : aCampaign({ current: done(index) })
      return plan(aSight({ round, nodes, campaign }))?.round?.participants ?? []
    })
    expect(draws.every((draw) => draw.length === 5)).toBe(true)
    expect(new Set(draws.flat()).size).toBe(20)
    expect(plan(aSight({ round, nodes: nodes.toReversed() }))?.round?.participants).toEqual(draws[0])
  })

  it('takes the data set from the first profile of the list that has it', () => {
    const other = aProfile({
      name: 'other',
      spec: { nodeSelector: {}, datasets: [{ name: 'digits', hostPath: '/x/y.csv', labelColumns: ['l'] }] },
    })
    const round = aRound({ participants: { profiles: ['other', 'gateway'] } })
    const { actions } = decide(aSight({ round, profiles: [aProfile(), other] }))
    expect(actions.find((action) => action.kind === 'createPod')).toMatchObject({
      pod: { dataset: { hostPath: '/x/y.csv' } },
    })
  })
})

describe('status.participants', () => {
  const causes = (seen: Observation) =>
    decide(seen).status?.participants?.map(({ node, reason }) => `${node} ${reason}`)

  it('names the unreachable node rather than its silent pod', () => {
    const nodes = [aNode('a', { ready: 'Unknown' }), aNode('b'), aNode('c')]
    const campaign = aCampaign({
      current: aRoundState(),
      participants: [aParticipant('b', { updateAccepted: true }), aParticipant('c')],
    })
    expect(causes(aSight({ nodes, campaign, pods: [aPod('a'), aPod('b'), aPod('c')] }))).toEqual([
      'a NodeUnreachable',
    ])
  })

  it.each([
    {
      name: 'what the pod reported',
      pods: [aPod('a')],
      state: { failureReason: 'DatasetUnreadable', failureMessage: 'no file' },
      want: ['a DatasetUnreadable'],
    },
    {
      name: 'an image that cannot be pulled',
      pods: [aPod('a', { phase: 'Pending', reason: 'ImagePullBackOff' })],
      state: { connected: false },
      want: ['a PodPending'],
    },
    {
      name: 'a pod that crashes',
      pods: [aPod('a', { phase: 'Running', reason: 'CrashLoopBackOff' })],
      state: { connected: false },
      want: ['a PodPending'],
    },
    {
      name: 'a pod without a connection',
      pods: [aPod('a')],
      state: { connected: false },
      want: ['a NotConnected'],
    },
    { name: 'a node that is gone', pods: [], nodes: [], state: { connected: false }, want: ['a NodeGone'] },
    { name: 'no pod at all', pods: [], state: { connected: false }, want: ['a PodPending'] },
    { name: 'nothing when it trains', pods: [aPod('a')], state: {}, want: [] },
    {
      name: 'nothing when its update is in',
      pods: [aPod('a')],
      state: { updateAccepted: true, connected: false },
      want: [],
    },
    {
      name: 'not what it reported in an earlier round',
      pods: [aPod('a')],
      state: { round: 0, failureReason: 'TrainingDiverged' },
      want: [],
    },
  ])('says $name', ({ pods, state, want, ...rest }) => {
    const campaign = aCampaign({
      current: aRoundState({ participants: ['a'] }),
      participants: [aParticipant('a', state)],
    })
    expect(causes(aSight({ campaign, pods, ...rest }))).toEqual(want)
  })

  it('says of each round, and of the current one, what became of late updates, if there were any', () => {
    const current = aRoundState({ round: 3, received: 2, late: { counted: 1, dropped: 0 } })
    const done = (round: number, changes: Partial<RoundState> = {}): RoundState =>
      aRoundState({ round, phase: Phase.DONE, closedUnixMs: T0, ...changes })
    const history = [
      done(2, { late: { counted: 0, dropped: 4 } }),
      done(1, { late: { counted: 0, dropped: 0 } }),
    ]
    const { status } = decide(aSight({ campaign: aCampaign({ current, history }) }))
    expect(status?.updates).toEqual({ received: 2, wanted: 3, late: { counted: 1, dropped: 0 } })
    expect(status?.history?.map(({ late }) => late)).toEqual([{ counted: 0, dropped: 4 }, undefined])
  })

  it('calls a node late whose update was not in when the round closed', () => {
    const campaign = aCampaign({
      current: aRoundState({ phase: Phase.EVALUATING, participants: ['a', 'b'] }),
      participants: [aParticipant('a', { updateAccepted: true }), aParticipant('b')],
    })
    expect(causes(aSight({ campaign, pods: [aPod('a'), aPod('b')] }))).toEqual(['b Late'])
  })

  it('stays bounded with 10,000 nodes', () => {
    const nodes = Array.from({ length: 10_000 }, (_, index) => aNode(`n${index}`, { ready: 'Unknown' }))
    expect(decide(aSight({ nodes })).status?.participants).toHaveLength(50)
  })
})

describe('conditions', () => {
  it('says since when and until when it waits, and for what', () => {
    const seen = aSight({ nodes: [aNode('a')] })
    expect(condition(seen, 'ParticipantsAvailable')).toMatchObject({
      status: 'False',
      reason: 'NotEnoughNodes',
    })
    expect(condition(seen, 'Progressing')?.message).toBe(
      '1 of 1 matching nodes are Ready, a round needs 2; waiting until 2026-01-01T01:00:10Z',
    )
  })

  it('keeps the transition time of a condition whose status stays', () => {
    const first = decide(aSight()).status
    const later = decide(
      aSight({
        now: T0 + 500 * SECOND,
        round: aRound({}, { status: first }),
        campaign: aCampaign({ current: aRoundState() }),
      }),
    ).status
    const time = (status: typeof first, type: string) =>
      status?.conditions?.find((entry) => entry.type === type)?.lastTransitionTime
    expect(time(later, 'Progressing')).toBe(time(first, 'Progressing'))
  })
})
