import { describe, expect, it } from 'vitest'
import { EdgeModelSpec } from '#crds/edge-model.ts'
import { FINALIZER } from '#crds/names.ts'
import {
  AgentState,
  ModelState,
  ModelState_Phase as Phase,
  ModelVersion,
} from '#federation/wire/generated/tributary.ts'
import type { EdgeModel } from '#operator/objects.ts'
import { aNode, SECOND, T0 } from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { Observation } from './decision.ts'
import { transitions } from './status.ts'

const V1 = ModelVersion.fromPartial({ version: 1, digest: 'sha256:1', createdUnixMs: T0 })
const V2 = ModelVersion.fromPartial({
  ...{
    version: 2,
    digest: 'sha256:2',
    parentDigest: 'sha256:1',
    createdUnixMs: T0,
    campaign: 'uid-round',
    round: 3,
  },
  ...{ metrics: { loss: 0.3, accuracy: 0.9417 }, participants: 4, samples: 100 },
})

function aModel(
  changes: Partial<EdgeModel> = {},
  serving: object | 'nowhere' = { nodeSelector: { matchLabels: { site: 'north' } } },
): EdgeModel {
  return {
    ...{
      namespace: 'city',
      name: 'digits',
      uid: 'uid-model',
      resourceVersion: '1',
      generation: 1,
      createdAt: T0,
      deleting: false,
    },
    finalizers: [FINALIZER],
    spec: EdgeModelSpec.parse({
      source: { storageUri: 'configmap://digits/model.onnx' },
      ...(serving === 'nowhere' ? {} : { serving }),
    }),
    status: undefined,
    ...changes,
  }
}

function aSight(state: Partial<ModelState> | 'silent', changes: Partial<Observation> = {}): Observation {
  return {
    now: T0 + SECOND,
    model: aModel(),
    nodes: [aNode('a'), aNode('b'), aNode('elsewhere', { labels: {} })],
    hub:
      state === 'silent'
        ? { kind: 'unreachable', message: 'refused' }
        : { kind: 'known', state: ModelState.fromPartial({ uid: 'uid-model', ...state }) },
    ...changes,
  }
}

const loaded = (node: string, version: ModelVersion) =>
  AgentState.fromPartial({ node, version: version.version, digest: version.digest, connected: true })

describe('decide on an EdgeModel', () => {
  it.each([
    {
      name: 'is admitting while the hub reads the file',
      state: { phase: Phase.ADMITTING },
      want: 'Admitting Admitting',
    },
    {
      name: 'is admitting when the hub has not heard of it',
      state: { phase: Phase.UNKNOWN },
      want: 'Admitting Admitting',
    },
    {
      name: 'is refused with the reason',
      state: { phase: Phase.REFUSED, reason: 'OperatorUnsupported', message: 'TopK' },
      want: 'Refused ModelRefused',
    },
    {
      name: 'waits for a source that cannot be read',
      state: { phase: Phase.UNREACHABLE, reason: 'NotFound' },
      want: 'Waiting SourceUnreachable',
    },
    { name: 'waits for a silent hub', state: 'silent' as const, want: 'Waiting HubUnreachable' },
    {
      name: 'is ready when every agent has loaded the latest',
      state: { phase: Phase.READY, versions: [V2, V1], agents: [loaded('a', V2), loaded('b', V2)] },
      want: 'Ready AllAgentsUpdated',
    },
    {
      name: 'is rolling out while one has not',
      state: { phase: Phase.READY, versions: [V2, V1], agents: [loaded('a', V2), loaded('b', V1)] },
      want: 'RollingOut RollingOut',
    },
    {
      name: 'is rolling out while an agent was never heard',
      state: { phase: Phase.READY, versions: [V1], agents: [loaded('a', V1)] },
      want: 'RollingOut RollingOut',
    },
    {
      name: 'is degraded when an agent refuses the version',
      state: {
        phase: Phase.READY,
        versions: [V2],
        agents: [
          loaded('a', V2),
          { ...loaded('b', V1), failureReason: 'SignatureInvalid', failureMessage: 'x', failedVersion: 2 },
        ],
      },
      want: 'Degraded AgentsFailing',
    },
    {
      name: 'does not hold an old failure against the new version',
      state: {
        phase: Phase.READY,
        versions: [V2],
        agents: [
          loaded('a', V2),
          { ...loaded('b', V1), failureReason: 'SignatureInvalid', failureMessage: 'x', failedVersion: 1 },
        ],
      },
      want: 'RollingOut RollingOut',
    },
    {
      name: 'judges by digest, not by number',
      state: {
        phase: Phase.READY,
        versions: [V2],
        agents: [loaded('a', V2), { ...loaded('b', V2), digest: 'sha256:other' }],
      },
      want: 'RollingOut RollingOut',
    },
  ])('$name', ({ state, want }) => {
    const { status } = decide(aSight(state))
    const ready = status?.conditions?.find((condition) => condition.type === 'Ready')
    expect(`${status?.phase ?? ''} ${ready?.reason ?? ''}`).toBe(want)
  })

  it('names the unreachable node as the reason, not its agent', () => {
    const nodes = [aNode('a'), aNode('b', { ready: 'Unknown' })]
    const { status } = decide(
      aSight({ phase: Phase.READY, versions: [V2], agents: [loaded('a', V2), loaded('b', V1)] }, { nodes }),
    )
    expect(status?.agents).toEqual([
      {
        node: 'b',
        version: 1,
        reason: 'NodeUnreachable',
        message: 'the node has not been heard since 2026-01-01T00:00:00Z',
      },
    ])
    expect(status?.updated).toBe('1/2')
    expect(status?.conditions?.find((condition) => condition.type === 'RolledOut')?.reason).toBe(
      'NodesNotReady',
    )
  })

  it('hands the hub the nodes that serve, sorted', () => {
    const nodes = [aNode('b'), aNode('a'), aNode('elsewhere', { labels: {} })]
    const { actions } = decide(aSight({ phase: Phase.READY, versions: [V1] }, { nodes }))
    expect(actions).toMatchObject([
      { kind: 'applyModel', plan: { uid: 'uid-model', servingNodes: ['a', 'b'] } },
    ])
  })

  it('is ready without serving', () => {
    const { status, requeueAfterMs } = decide(
      aSight({ phase: Phase.READY, versions: [V1] }, { model: aModel({}, 'nowhere') }),
    )
    expect(status).toMatchObject({ phase: 'Ready', latestVersion: 'v1', updated: '0/0' })
    expect(requeueAfterMs).toBeUndefined()
  })

  it('shows version and metric in the columns', () => {
    const { status } = decide(aSight({ phase: Phase.READY, versions: [V2, V1], agents: [] }))
    expect(status).toMatchObject({ latestVersion: 'v2', metric: '0.942', updated: '0/2' })
    expect(status?.versions?.[0]).toMatchObject({ version: 2, parentDigest: 'sha256:1', participants: 4 })
    expect(status?.versions?.[1]).toEqual({
      version: 1,
      digest: 'sha256:1',
      createdAt: '2026-01-01T00:00:00Z',
    })
  })

  it('keeps what it knew while the hub is silent', () => {
    const before = decide(
      aSight({ phase: Phase.READY, versions: [V2, V1], agents: [loaded('a', V2), loaded('b', V2)] }),
    ).status
    const silent = decide(aSight('silent', { model: aModel({ status: before }) })).status
    expect(silent).toMatchObject({ latestVersion: 'v2', updated: '2/2', phase: 'Waiting' })
  })

  it('says the same again when nothing has changed', () => {
    const seen = aSight({ phase: Phase.READY, versions: [V2, V1], agents: [loaded('a', V1)] })
    const first = decide(seen).status
    expect(decide({ ...seen, now: seen.now + 60 * SECOND, model: aModel({ status: first }) }).status).toEqual(
      first,
    )
  })

  it('deletes the data in the hub before it lets the object go', () => {
    const { actions, status } = decide(aSight({}, { model: aModel({ deleting: true }) }))
    expect(actions.map((action) => action.kind)).toEqual(['deleteModel', 'removeFinalizer'])
    expect(status).toBeUndefined()
  })
})

describe('events of an EdgeModel', () => {
  it('says what a person wants to see, once', () => {
    const admitting = decide(aSight({ phase: Phase.ADMITTING })).status
    const ready = decide(
      aSight(
        { phase: Phase.READY, versions: [V1], agents: [loaded('a', V1), loaded('b', V1)] },
        { model: aModel({ status: admitting }) },
      ),
    ).status
    if (!ready) throw new Error('no status')
    expect(transitions(admitting, ready).map((event) => event.reason)).toEqual([
      'VersionPublished',
      'Admitted',
      'AllAgentsUpdated',
    ])
    expect(transitions(ready, ready)).toEqual([])
  })

  it('warns of a refused model', () => {
    const refused = decide(
      aSight({ phase: Phase.REFUSED, reason: 'OperatorUnsupported', message: 'TopK' }),
    ).status
    if (!refused) throw new Error('no status')
    expect(transitions(undefined, refused)).toEqual([
      { type: 'Warning', reason: 'ModelRefused', note: 'OperatorUnsupported: TopK' },
    ])
  })
})
