// Edge controllers after the end of their campaign, as a table: what the agents have, and whether the controllers stay.
import { describe, expect, it } from 'vitest'
import { AgentState, RoundState_Phase as Phase, TierState } from '#federation/wire/generated/tributary.ts'
import type { FederatedRound } from '#operator/objects.ts'
import {
  aCampaign,
  aController,
  aNode,
  aPod,
  aRound,
  aRoundState,
  aSight,
  aTier,
  SECOND,
  T0,
} from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { Observation } from './decision.ts'

const MINUTE = 60 * SECOND
const LABEL = 'topology.kubernetes.io/zone'

const agent = (node: string, changes: Partial<AgentState> = {}): AgentState =>
  AgentState.fromPartial({ node, version: 1, connected: true, ...changes })

interface Given {
  /** Undefined: the hub is silent about the model. */
  agents: AgentState[] | undefined
  /** When the campaign was completed, as its status says; absent: it is completed by this pass. */
  completedAt?: number
  connected?: boolean
  publishedVersion?: number
  changes?: Partial<Observation>
  spec?: object
}

/** Zone north has the nodes a and b and a controller on a; c is in no zone. The only round is done and version 2 is out. */
function sight(given: Given): Observation {
  const { agents, completedAt, connected = true, publishedVersion = 2 } = given
  return aSight({
    now: T0 + 20 * MINUTE,
    round: ended({ hierarchy: { type: 'Zones', zones: {} }, rounds: 1, ...given.spec }, completedAt),
    model: { uid: 'uid-model', admitted: 'Yes', message: '', agents },
    nodes: [inNorth('a'), inNorth('b'), aNode('c')],
    pods: ['a', 'b', 'c'].map((node) => aPod(node)),
    controllers: [aController('a')],
    campaign: aCampaign({
      current: aRoundState({ phase: Phase.DONE, closedUnixMs: T0 }),
      tiers: [TierState.fromPartial({ name: 'north', epoch: 1, connected })],
      ...(publishedVersion > 0 && { publishedRound: 1, publishedVersion }),
    }),
    ...given.changes,
  })
}

const inNorth = (name: string) => aNode(name, { labels: { site: 'north', [LABEL]: 'north' } })

function ended(spec: object, completedAt: number | undefined, type = 'Complete'): FederatedRound {
  const at = completedAt === undefined ? undefined : new Date(completedAt).toISOString()
  const condition = { type, status: 'True' as const, reason: 'RoundsDone', message: '' }
  const conditions = at === undefined ? [] : [{ ...condition, lastTransitionTime: at, observedGeneration: 1 }]
  return aRound(spec, { status: { tiers: [aTier('a')], conditions } })
}

function outcome(seen: Observation) {
  const { actions, requeueAfterMs } = decide(seen)
  const plan = actions.flatMap((action) => (action.kind === 'applyCampaign' ? [action.plan] : []))[0]
  const deleted = actions.flatMap((action) => (action.kind === 'deletePod' ? [action.uid] : []))
  return {
    told: plan && { finished: plan.finished, stay: plan.controllersStay, tiers: plan.tiers.length },
    trainingPodsGo: ['uid-a', 'uid-b', 'uid-c'].every((uid) => deleted.includes(uid)),
    controllerGoes: deleted.includes('uid-north-1'),
    requeueAfterMs,
  }
}

describe('the controllers of a completed campaign', () => {
  const behind = [agent('a', { version: 2 }), agent('b')]

  it.each<{ name: string; given: Given }>([
    { name: 'in the pass that completes it', given: { agents: behind } },
    { name: 'later', given: { agents: behind, completedAt: T0 + 11 * MINUTE } },
    { name: 'while the hub is silent about the model', given: { agents: undefined } },
    {
      name: 'while the hub is silent',
      given: {
        agents: undefined,
        completedAt: T0 + 11 * MINUTE,
        changes: { campaign: { kind: 'unreachable', message: 'refused' } },
      },
    },
  ])('stay until their agents have its version, and its training pods go: $name', ({ given }) => {
    const { trainingPodsGo, controllerGoes, requeueAfterMs } = outcome(sight(given))
    expect({ trainingPodsGo, controllerGoes }).toEqual({ trainingPodsGo: true, controllerGoes: false })
    expect(requeueAfterMs).toBeGreaterThan(0)
  })

  it('are named in the plan that ends it, so that they hand out what they have', () => {
    expect(outcome(sight({ agents: behind })).told).toEqual({ finished: true, stay: true, tiers: 1 })
  })

  it.each<{ name: string; given: Given }>([
    {
      name: 'every agent has the version',
      given: { agents: [agent('a', { version: 2 }), agent('b', { version: 3 })] },
    },
    { name: 'an agent cannot load it', given: { agents: [agent('b', { failedVersion: 2 })] } },
    {
      name: 'the agent that does not have it is not there',
      given: { agents: [agent('b', { connected: false })] },
    },
    { name: 'the node that does not have it is in no zone', given: { agents: [agent('c')] } },
    { name: 'the controller is not there', given: { agents: behind, connected: false } },
    {
      name: 'nothing was published',
      given: { agents: behind, publishedVersion: 0, spec: { publish: 'Never' } },
    },
    { name: 'it took ten minutes', given: { agents: behind, completedAt: T0 + 10 * MINUTE } },
    {
      name: 'the hub was silent for ten minutes',
      given: { agents: undefined, completedAt: T0 + 10 * MINUTE },
    },
  ])('go when $name', ({ given }) => {
    expect(outcome(sight(given))).toEqual({
      told: { finished: true, stay: false, tiers: 1 },
      trainingPodsGo: true,
      controllerGoes: true,
      requeueAfterMs: undefined,
    })
  })

  it('are told without the UIDs of their pods from the end on, which may not have been seen yet', () => {
    const seen = sight({ agents: behind })
    const unseen = { ...aTier('a'), podUid: undefined }
    const round = { ...seen.round, status: { ...seen.round.status, tiers: [unseen] } }
    const shown = [[], seen.controllers].map(
      (controllers) => decide({ ...seen, round, controllers }).status?.tiers,
    )
    expect(shown[0]).toEqual(shown[1])
    expect(shown[0]).toMatchObject([{ zone: 'north', node: 'a', epoch: 1, pod: aTier('a').pod }])
  })

  it('go with a campaign that failed, whatever it published before', () => {
    const seen = sight({ agents: behind })
    const round = ended(seen.round.spec, T0 + 19 * MINUTE, 'Failed')
    expect(outcome({ ...seen, round }).controllerGoes).toBe(true)
  })

  it('are not looked after again once they are gone', () => {
    const seen = sight({ agents: behind, completedAt: T0 + 11 * MINUTE, changes: { controllers: [] } })
    expect(decide(seen).requeueAfterMs).toBeUndefined()
  })
})
