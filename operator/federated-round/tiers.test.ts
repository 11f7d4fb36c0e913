// Where edge controllers run, as tables: what was seen, and what becomes of epoch, node, pods, plan and status.
import { describe, expect, it } from 'vitest'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import { MOST_TIERS } from '#crds/federated-round-status.ts'
import { RoundState_Phase as Phase, TierState } from '#federation/wire/generated/tributary.ts'
import type { NodeView } from '#operator/objects.ts'
import {
  aCampaign,
  aController,
  aNode,
  aPod,
  aProfile,
  aRound,
  aRoundState,
  aSight,
  aTier,
  SECOND,
  T0,
} from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { Observation } from './decision.ts'
import { controllerName } from './tiers.ts'
import { transitions } from './transitions.ts'

type Tier = NonNullable<FederatedRoundStatus['tiers']>[number]

const LABEL = 'topology.kubernetes.io/zone'
const inZone = (zone: string, name: string, changes: Partial<NodeView> = {}): NodeView =>
  aNode(name, { labels: { site: 'north', [LABEL]: zone }, ...changes })
const lostSince = (seconds: number): Partial<NodeView> => ({
  ready: 'Unknown',
  readySince: new Date(T0 + 10 * SECOND - seconds * SECOND).toISOString(),
})
const nodes = [inZone('north', 'a'), inZone('north', 'b'), inZone('south', 'c'), aNode('d')]

interface Given {
  zones?: object
  nodes?: NodeView[]
  tiers?: Tier[]
  controllers?: Observation['controllers']
  states?: Partial<TierState>[]
  spec?: object
}

/** A round runs on a, b, c and d; the status knows `tiers`. */
function sight(given: Given): Observation {
  const status = given.tiers && { tiers: given.tiers }
  const fleet = given.nodes ?? nodes
  return aSight({
    round: aRound({ hierarchy: { type: 'Zones', zones: given.zones ?? {} }, ...given.spec }, { status }),
    nodes: fleet,
    pods: fleet.map(({ name }) => aPod(name)),
    controllers: given.controllers ?? [],
    campaign: aCampaign({
      current: aRoundState({ participants: ['a', 'b', 'c', 'd'], wanted: 4 }),
      tiers: (given.states ?? []).map((state) =>
        TierState.fromPartial({ name: 'north', epoch: 1, ...state }),
      ),
    }),
  })
}

function outcome(seen: Observation) {
  const { actions, status } = decide(seen)
  const plan = actions.flatMap((action) => (action.kind === 'applyCampaign' ? [action.plan] : []))[0]
  return {
    tiers: status?.tiers ?? [],
    status,
    plan: plan?.tiers ?? [],
    created: actions.flatMap((action) =>
      action.kind === 'createController' ? [`${action.controller.zone}/${action.controller.epoch}`] : [],
    ),
    deleted: actions.flatMap((action) => (action.kind === 'deletePod' ? [action.name] : [])),
  }
}

const north = (seen: Observation) => outcome(seen).tiers.find(({ zone }) => zone === 'north')
const available = (seen: Observation) =>
  decide(seen).status?.conditions?.find(({ type }) => type === 'ControllersAvailable')

describe('zones', () => {
  it('get a controller on one of their nodes, and the rest of the fleet belongs to the hub', () => {
    const { tiers, plan, created } = outcome(sight({}))
    expect(tiers.map(({ zone, epoch }) => [zone, epoch])).toEqual([
      ['north', 1],
      ['south', 1],
    ])
    expect(['a', 'b']).toContain(tiers[0]?.node)
    expect(tiers[1]?.node).toBe('c')
    expect(created).toEqual(['north/1', 'south/1'])
    expect(plan.map(({ name, parent, nodes: members }) => [name, parent, members])).toEqual([
      ['north', '', ['a', 'b']],
      ['south', '', ['c']],
    ])
  })

  it('are of another label when the manifest says so', () => {
    const pooled = nodes.map((node) => ({ ...node, labels: { site: 'north', pool: 'p1' } }))
    const { tiers } = outcome(sight({ zones: { nodeLabel: 'pool' }, nodes: pooled }))
    expect(tiers.map(({ zone }) => zone)).toEqual(['p1'])
  })

  it('are none in a flat campaign', () => {
    const seen = { ...sight({}), round: aRound() }
    expect(outcome(seen)).toMatchObject({ tiers: [], plan: [], created: [] })
    expect(available(seen)).toBeUndefined()
  })

  it('need a node that trains: a zone of others has no controller, but its other nodes belong to it', () => {
    const gateway = aNode('gateway', { labels: { [LABEL]: 'north' } })
    const elsewhere = aNode('office', { labels: { [LABEL]: 'west' } })
    const { tiers, plan } = outcome(sight({ nodes: [...nodes, gateway, elsewhere] }))
    expect(tiers.map(({ zone }) => zone)).toEqual(['north', 'south'])
    expect(plan[0]?.nodes).toEqual(['a', 'b', 'gateway'])
  })

  it('do not include nodes whose label is empty', () => {
    expect(outcome(sight({ nodes: [inZone('', 'a')] })).tiers).toEqual([])
  })

  it('are at most as many as the status can hold; those that have a place keep it', () => {
    const many = Array.from({ length: MOST_TIERS + 3 }, (_, k) => inZone(`z${1000 + k}`, `n${k}`))
    const kept = aTier('n102', { zone: 'z1102' })
    const seen = sight({ nodes: many, tiers: [kept] })
    const { tiers, status } = outcome(seen)
    expect(tiers).toHaveLength(MOST_TIERS)
    expect(tiers.map(({ zone }) => zone)).toContain('z1102')
    expect(available(seen)?.message).toContain('nodes of 3 further zones belong to the hub')
    expect(status?.zonesProgress).toBe(`0/${MOST_TIERS}`)
  })
})

describe('what a controller may take of the link', () => {
  const profileOf = (name: string, place: string, bandwidth: string) => {
    const { spec } = aProfile()
    const nodeSelector = { matchLabels: { place } }
    return aProfile({ name, spec: { ...spec, nodeSelector, link: { bandwidth } } })
  }
  const at = (place: string, name: string, labels: object = {}) =>
    inZone('north', name, { labels: { [LABEL]: 'north', place, ...labels } })
  const spec = { participants: { profiles: ['fast', 'slow'] }, transfer: { linkFraction: 0.5 } }

  it.each([
    { what: 'is the share of its node', place: 'fast', rate: 500_000 },
    { what: 'is the least of its zone when its node does not train', place: 'office', rate: 50_000 },
    { what: 'is everything when nothing else is said', place: 'fast', rate: undefined, transfer: {} },
  ])('$what', ({ place, rate, transfer = spec.transfer }) => {
    const seen = sight({
      zones: { controller: { nodeSelector: { matchLabels: { gateway: 'yes' } } } },
      nodes: [at('fast', 'a'), at('slow', 'b'), at(place, 'c', { gateway: 'yes' })],
      spec: { ...spec, transfer },
    })
    const profiles = [profileOf('fast', 'fast', '1M'), profileOf('slow', 'slow', '100k')]
    const created = decide({ ...seen, profiles }).actions.find(({ kind }) => kind === 'createController')
    expect(created).toMatchObject({ controller: { node: 'c' } })
    expect(created && 'controller' in created && created.controller.bytesPerSecond).toBe(rate)
  })
})

describe('the node of a controller', () => {
  it('is the same for every operator, and not the same for every zone and campaign', () => {
    const fleet = Array.from({ length: 16 }, (_, k) => inZone('north', `n${k}`))
    const chosen = (uid: string) => {
      const seen = sight({ nodes: fleet })
      return north({ ...seen, round: { ...seen.round, uid } })?.node
    }
    const uids = Array.from({ length: 8 }, (_, k) => `uid-${k}`)
    expect(uids.map(chosen)).toEqual(uids.map(chosen))
    expect(new Set(uids.map(chosen)).size).toBeGreaterThan(3)
  })

  it.each([
    { name: 'matches the selector', changes: { labels: { [LABEL]: 'north', gateway: 'yes' } } },
    { name: 'is Ready', changes: {}, others: { ready: 'False' as const } },
    { name: 'is not cordoned', changes: {}, others: { unschedulable: true } },
  ])('$name', ({ changes, others = {} }) => {
    const selected = 'labels' in changes
    const fleet = ['a', 'b', 'e', 'f'].map((name) => inZone('north', name, others))
    const seen = sight({
      zones: selected ? { controller: { nodeSelector: { matchLabels: { gateway: 'yes' } } } } : {},
      nodes: [...fleet, inZone('north', 'g', changes)],
    })
    expect(north(seen)?.node).toBe('g')
  })

  it('may be none: then the zone belongs to the hub, and the status says so', () => {
    const seen = sight({ zones: { controller: { nodeSelector: { matchLabels: { gateway: 'yes' } } } } })
    expect(north(seen)).toMatchObject({ state: 'NoNode', node: '', pod: '', epoch: 0 })
    expect(outcome(seen)).toMatchObject({ plan: [], created: [] })
    expect(available(seen)).toMatchObject({ status: 'False', reason: 'ControllersMissing' })
  })
})

interface Row {
  name: string
  given: Given
  /** Node and epoch of zone north afterwards. */
  want: [string, number]
  created?: string[]
  deleted?: string[]
  /** Whether the hub's plan has the zone, and whether its nodes wait for a controller. */
  planned?: boolean
  replaced?: boolean
}

const running = { tiers: [aTier('a')], controllers: [aController('a')] }
const southIsThere = {
  tiers: [aTier('c', { zone: 'south' })],
  controllers: [aController('c', { zone: 'south' })],
}
const with2 = (given: Given): Given => ({
  ...given,
  tiers: [...(given.tiers ?? []), ...southIsThere.tiers],
  controllers: [...(given.controllers ?? []), ...southIsThere.controllers],
})
const unreachable = (seconds: number) => [inZone('north', 'a', lostSince(seconds)), ...nodes.slice(1)]
const oldPod = aController('a').name

const ROWS: Row[] = [
  { name: 'stays where it is', given: running, want: ['a', 1] },
  {
    name: 'stays although its node does not match a changed selector',
    given: { ...running, zones: { controller: { nodeSelector: { matchLabels: { gateway: 'yes' } } } } },
    want: ['a', 1],
  },
  {
    name: 'stays while its node is unreachable for less than the tolerance',
    given: { ...running, nodes: unreachable(59) },
    want: ['a', 1],
  },
  {
    name: 'stays while the hub hears it, whatever Kubernetes says of the node',
    given: { ...running, nodes: unreachable(600), states: [{ connected: true }] },
    want: ['a', 1],
  },
  {
    name: 'is replaced when its node is unreachable for longer, and its pod deleted',
    given: { ...running, nodes: unreachable(61) },
    want: ['b', 2],
    created: ['north/2'],
    deleted: [oldPod],
    replaced: true,
  },
  {
    name: 'is replaced although an earlier epoch is connected',
    given: {
      ...running,
      tiers: [aTier('a', { epoch: 2 })],
      controllers: [aController('a', { epoch: 2 })],
      nodes: unreachable(61),
      states: [{ connected: true, epoch: 1 }],
    },
    want: ['b', 3],
    created: ['north/3'],
    deleted: [aController('a', { epoch: 2 }).name],
  },
  {
    name: 'is waited for when no other node can take over',
    given: { ...running, nodes: [inZone('north', 'a', lostSince(600)), ...nodes.slice(2)] },
    want: ['a', 1],
  },
  {
    name: 'is waited for when the manifest says so',
    given: { ...running, nodes: unreachable(600), zones: { controller: { whenLost: 'UseHub' } } },
    want: ['a', 1],
    replaced: false,
  },
  {
    name: 'is replaced at once when its node was deleted',
    given: { ...running, nodes: nodes.slice(1) },
    want: ['b', 2],
    created: ['north/2'],
    deleted: [oldPod],
  },
  {
    name: 'is none for the hub when its node was deleted and nothing takes over',
    given: { ...running, nodes: nodes.slice(1), zones: { controller: { whenLost: 'UseHub' } } },
    want: ['a', 1],
    planned: false,
  },
  {
    name: 'leaves a node that left the zone',
    given: {
      ...running,
      nodes: [inZone('south', 'a'), ...nodes.slice(1)],
      zones: { controller: { whenLost: 'UseHub' } },
    },
    want: ['b', 2],
    created: ['north/2'],
    deleted: [oldPod],
  },
  {
    name: 'begins anew under another name when its pod was deleted',
    given: { tiers: [aTier('a')], controllers: [] },
    want: ['a', 2],
    created: ['north/2'],
  },
  {
    name: 'begins anew when another pod has its name',
    given: { tiers: [aTier('a')], controllers: [aController('a', { uid: 'uid-other' })] },
    want: ['a', 2],
    created: [],
    deleted: [oldPod],
  },
  {
    name: 'begins anew when its pod failed',
    given: { tiers: [aTier('a')], controllers: [aController('a', { phase: 'Failed' })] },
    want: ['a', 2],
    created: ['north/2'],
    deleted: [oldPod],
  },
  {
    name: 'waits for a pod that is going away, which has the folder still',
    given: { tiers: [aTier('a')], controllers: [aController('a', { deleting: true })] },
    want: ['a', 1],
  },
  {
    name: 'waits with its next pod while one of an earlier epoch is on the node',
    given: {
      tiers: [aTier('a', { epoch: 3, podUid: undefined })],
      controllers: [aController('a', { deleting: true })],
    },
    want: ['a', 3],
  },
  {
    name: 'is not made again while its node is away and nobody knows what became of the pod',
    given: {
      tiers: [aTier('a')],
      controllers: [],
      nodes: [inZone('north', 'a', lostSince(5)), ...nodes.slice(2)],
    },
    want: ['a', 1],
  },
  {
    name: 'is made again under its name when nobody has ever seen its pod',
    given: { tiers: [aTier('a', { podUid: undefined })], controllers: [] },
    want: ['a', 1],
    created: ['north/1'],
  },
  {
    name: 'is left alone when it is of a later epoch than the status that was seen',
    given: { tiers: [aTier('a')], controllers: [aController('a'), aController('b', { epoch: 2 })] },
    want: ['a', 1],
  },
]

describe('a controller', () => {
  it.each(ROWS)('$name', ({ given, want, created = [], deleted = [], planned = true, replaced }) => {
    const found = outcome(sight(with2(given)))
    const tier = found.tiers.find(({ zone }) => zone === 'north')
    expect([tier?.node, tier?.epoch]).toEqual(want)
    expect(tier?.pod).toBe(controllerName({ name: 'digits', uid: 'uid-round' }, 'north', want[1]))
    expect(found.created).toEqual(created)
    expect(found.deleted).toEqual(deleted)
    const inPlan = found.plan.find(({ name }) => name === 'north')
    expect(inPlan !== undefined).toBe(planned)
    if (inPlan)
      expect(inPlan).toMatchObject({
        node: want[0],
        epoch: want[1],
        ...(replaced === undefined ? {} : { replacedWhenLost: replaced }),
      })
  })

  it('remembers its epoch while no node of the zone may train, and goes on from there', () => {
    const empty = sight({ ...running, nodes: nodes.slice(2) })
    const { tiers, deleted } = outcome(empty)
    expect(tiers[0]).toMatchObject({ zone: 'north', state: 'Empty', epoch: 1, node: '', pod: '' })
    expect(deleted).toEqual([oldPod])
    expect(north(sight({ tiers }))).toMatchObject({ epoch: 2 })
  })

  it('gets no new place while no round runs', () => {
    const seen = sight({ ...running, nodes: nodes.slice(1) })
    const waiting: Observation = { ...seen, model: undefined, campaign: aCampaign({}) }
    expect(north(waiting)).toMatchObject({ node: 'a', epoch: 1 })
  })

  it.each([
    { name: 'the campaign is suspended', spec: { suspend: true }, phase: Phase.DONE },
    { name: 'the campaign has ended', spec: { rounds: 1, publish: 'Never' }, phase: Phase.DONE },
  ])('goes away with the training pods when $name', ({ spec, phase }) => {
    const seen = sight({ ...running, spec })
    const campaign = aCampaign({ current: aRoundState({ phase }) })
    expect(outcome({ ...seen, campaign }).deleted).toContain(oldPod)
  })

  it('hears of the end of the campaign, though no training pod is left to hear it', () => {
    const seen = sight({ ...running, spec: { rounds: 1, publish: 'Never' } })
    const campaign = aCampaign({ current: aRoundState({ phase: Phase.DONE }) })
    const { actions } = decide({ ...seen, campaign, pods: [] })
    expect(actions.map(({ kind }) => kind)).toEqual(['applyCampaign', 'deletePod'])
  })

  it('goes away with its FederatedRound', () => {
    const seen = sight(running)
    expect(outcome({ ...seen, round: { ...seen.round, deleting: true } }).deleted).toContain(oldPod)
  })

  it('has a name of its own for each zone and epoch', () => {
    const round = { name: 'a-very-long-name-of-a-campaign-that-goes-on-and-on-for-63-chars', uid: 'u' }
    const names = ['n', 's'].flatMap((zone) =>
      [1, 2, 100000].map((epoch) => controllerName(round, zone, epoch)),
    )
    expect(new Set(names).size).toBe(6)
    for (const name of names) expect(name).toMatch(/^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/)
  })
})

describe('the nodes of a zone whose controller nobody hears', () => {
  const placedAt = (seconds: number) => new Date(T0 + 10 * SECOND - seconds * SECOND).toISOString()
  const lastSeenUnixMs = (seconds: number) => T0 + 10 * SECOND - seconds * SECOND
  it.each([
    { name: 'wait for it while it starts', tier: { placedAt: placedAt(59) }, want: true },
    { name: 'belong to the hub when it does not start', tier: { placedAt: placedAt(60) }, want: false },
    {
      name: 'wait for it while it may have restarted',
      tier: { placedAt: placedAt(600) },
      state: { lastSeenUnixMs: lastSeenUnixMs(59) },
      want: true,
    },
    {
      name: 'belong to the hub when it was not heard for longer',
      tier: { placedAt: placedAt(600) },
      state: { lastSeenUnixMs: lastSeenUnixMs(60) },
      want: false,
    },
    {
      name: 'wait for it when it is connected, as they always do',
      tier: { placedAt: placedAt(600) },
      state: { connected: true },
      want: true,
    },
    {
      name: 'belong to the hub at once when the manifest says so',
      tier: { placedAt: placedAt(1) },
      zones: { controller: { whenLost: 'UseHub' } },
      want: false,
    },
  ])('$name', ({ tier, state, zones = {}, want }) => {
    const seen = sight({
      tiers: [aTier('a', tier)],
      controllers: [aController('a')],
      states: state ? [state] : [],
      zones,
    })
    expect(outcome(seen).plan.find(({ name }) => name === 'north')?.replacedWhenLost).toBe(want)
  })
})

describe('the plan of a zone', () => {
  it.each([
    { minUpdates: 1, deadlineSeconds: undefined, want: [1, 48] },
    { minUpdates: 5, deadlineSeconds: 10, want: [3, 10] },
    { minUpdates: '50%', deadlineSeconds: 59, want: [2, 59] },
    { minUpdates: '100%', deadlineSeconds: undefined, want: [3, 48] },
    { minUpdates: '1%', deadlineSeconds: undefined, want: [1, 48] },
  ])('has of $minUpdates and $deadlineSeconds a quorum and a deadline: $want', ({ want, ...zones }) => {
    // 3 nodes of the zone were asked, a fourth was not; the round's own deadline is after 60 s.
    const fleet = ['a', 'b', 'c', 'z'].map((name) => inZone('north', name))
    const { plan } = outcome(sight({ zones, nodes: fleet }))
    expect([plan[0]?.minimumUpdates, plan[0]?.deadlineSeconds]).toEqual(want)
  })

  it('has a quorum of one when nobody of the zone was asked', () => {
    const { plan } = outcome(sight({ zones: { minUpdates: '50%' }, nodes: [inZone('north', 'z')] }))
    expect(plan[0]?.minimumUpdates).toBe(1)
  })
})

describe('the status of a zone', () => {
  it.each([
    { name: 'its pod is not there yet', controllers: [], want: { state: 'Starting' } },
    {
      name: 'its pod cannot start',
      controllers: [aController('a', { phase: 'Pending', reason: 'ErrImagePull', message: 'no such image' })],
      want: { state: 'Starting', message: 'ErrImagePull: no such image' },
    },
    {
      name: 'nobody hears it',
      controllers: [aController('a')],
      want: { state: 'NotConnected', message: 'the controller runs but has no connection to the hub' },
    },
    {
      name: 'it takes updates',
      controllers: [aController('a')],
      states: [{ connected: true, round: 1, received: 1, wanted: 2 }],
      want: { state: 'Connected', received: 1, wanted: 2 },
    },
    {
      name: 'it has sent its intermediate update',
      controllers: [aController('a')],
      states: [{ connected: true, round: 1, received: 2, wanted: 2, delivered: true }],
      want: { state: 'Delivered', received: 2 },
    },
    {
      name: 'what it said is of an earlier round',
      controllers: [aController('a')],
      states: [{ connected: true, round: 0, received: 2, wanted: 1 }],
      want: { state: 'Connected', received: 0, wanted: 2 },
    },
    {
      name: 'its disk is full',
      controllers: [aController('a')],
      states: [{ connected: true, problemReason: 'DiskFull', problemMessage: '0 bytes left' }],
      want: { state: 'DiskFull', message: '0 bytes left' },
    },
  ])('says when $name', ({ controllers, states = [], want }) => {
    const podUid = controllers.length === 0 ? undefined : aController('a').uid
    const seen = sight({ tiers: [aTier('a', { podUid })], controllers, states })
    expect(north(seen)).toMatchObject(want)
    expect(north(seen)?.message).toBe('message' in want ? want.message : undefined)
  })

  it.each([
    {
      name: 'all are connected',
      states: [{}, { name: 'south' }],
      want: ['True', 'AllConnected'],
      shown: '2/2',
    },
    { name: 'one is not', states: [{}], want: ['False', 'ControllersMissing'], shown: '1/2' },
  ])('is summed up: $name', ({ states, want, shown }) => {
    const connected = states.map((state) => ({ ...state, connected: true }))
    const seen = sight({ ...with2(running), states: connected })
    expect([available(seen)?.status, available(seen)?.reason]).toEqual(want)
    expect(decide(seen).status?.zonesProgress).toBe(shown)
  })

  it('says in a condition, with a warning, when a disk is full, and takes it back when there is room', () => {
    const problem = { problemReason: 'DiskFull', problemMessage: '0 bytes left' }
    const [full, roomy] = [problem, {}].map((found) => {
      const states = [
        { connected: true, ...found },
        { name: 'south', connected: true },
      ]
      return sight({ ...with2(running), states })
    }) as [Observation, Observation]
    expect(available(full)).toMatchObject({
      ...{ status: 'False', reason: 'DiskFull' },
      message: '1 of 2 zones have a controller that takes updates; without: north (DiskFull)',
    })
    expect(north(full)).toMatchObject({ state: 'DiskFull', message: '0 bytes left' })
    expect(available(roomy)).toMatchObject({ status: 'True', reason: 'AllConnected' })
    const [before, after] = [roomy, full].map((seen) => decide(seen).status ?? {})
    const warned = transitions(before, after ?? {}).filter(({ reason }) => reason === 'DiskFull')
    expect(warned).toMatchObject([{ type: 'Warning' }])
    expect(transitions(after, after ?? {})).toEqual([])
  })

  it('warns of nothing while controllers start', () => {
    expect(available(sight({}))).toMatchObject({ status: 'Unknown', reason: 'ControllersStarting' })
  })

  const ago = (seconds: number): number => T0 + 10 * SECOND - seconds * SECOND
  it.each([
    { name: 'was not heard yet', placed: 59, heard: undefined, want: 'Starting' },
    { name: 'was not heard in this epoch yet', placed: 59, heard: 60, want: 'Starting' },
    { name: 'was not heard for as long as a lost one', placed: 60, heard: undefined, want: 'NotConnected' },
    { name: 'was heard and is not any more', placed: 59, heard: 58, want: 'NotConnected' },
    { name: 'was placed when none is awaited', placed: 0, heard: undefined, lost: 0, want: 'NotConnected' },
  ])('is $want while the pod of a controller runs that $name', ({ placed, heard, lost = 60, want }) => {
    const placedAt = new Date(ago(placed)).toISOString()
    const seen = sight({
      tiers: [aTier('a', { placedAt })],
      controllers: [aController('a')],
      states: heard === undefined ? [] : [{ lastSeenUnixMs: ago(heard) }],
      zones: { controller: { lostAfterSeconds: lost } },
      nodes: nodes.slice(0, 2),
    })
    expect(north(seen)?.state).toBe(want)
    const verdict = available(seen)
    if (want === 'Starting')
      expect(verdict).toMatchObject({ status: 'Unknown', reason: 'ControllersStarting' })
    else expect(verdict).toMatchObject({ status: 'False', reason: 'ControllersMissing' })
  })

  it('says when no node has the label', () => {
    expect(available(sight({ nodes: [aNode('d')] }))).toMatchObject({ status: 'False', reason: 'NoZones' })
  })

  it('stays as it was last seen while the hub is silent', () => {
    const seen = sight(with2(running))
    const silent: Observation = { ...seen, campaign: { kind: 'unreachable', message: 'refused' } }
    expect(decide(silent).status?.tiers).toEqual(seen.round.status?.tiers)
    expect(available(silent)).toMatchObject({ status: 'Unknown', reason: 'HubUnreachable' })
  })

  it('tells of a controller that took over, once', () => {
    const seen = sight({ ...running, nodes: nodes.slice(1) })
    const before = seen.round.status
    const after = decide(seen).status ?? {}
    const replaced = transitions(before, after).filter(({ reason }) => reason === 'ControllerReplaced')
    expect(replaced.map(({ note }) => note)).toEqual([
      'zone north: the controller of epoch 2 is on node b: node a was deleted',
    ])
    expect(transitions(after, after)).toEqual([])
  })
})
