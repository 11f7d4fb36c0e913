// Edge controllers below a hub, over real connections: two zones, whose updates count once however they come, whoever restarts,
// and whichever controller speaks for a zone.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  LateUpdates,
  RoundState_Phase,
  type CampaignPlan,
  type TierNode,
} from '#federation/wire/generated/tributary.ts'
import { campaignPlan, tierNode } from '#federation/tier/testing/plans.ts'
import { patch, sha256, type Answer, type TestParticipant } from './testing/clients.ts'
import { bytesOf, reasonOf, sumOf, TestController, type SentUpdate } from './testing/controller.ts'
import { podToken, TEST_KEYS } from './testing/fakes.ts'
import { Story, until } from './testing/story.ts'

const NODES = ['a', 'b', 'c', 'd']
const UPDATES: Readonly<Record<string, SentUpdate>> = Object.fromEntries(
  NODES.map((node, k) => [node, { node, samples: k + 1, values: [1, 2, 3, 4].map((v) => v * (k + 1)) }]),
)
const of = (...nodes: string[]): SentUpdate[] => nodes.map((node) => UPDATES[node]!)

function zones(changes: Partial<TierNode> = {}): TierNode[] {
  return [
    { ...tierNode('east', ['a', 'b']), ...changes },
    { ...tierNode('west', ['c', 'd']), ...changes },
  ]
}

function plan(tiers: TierNode[], changes: Partial<CampaignPlan> = {}): Partial<CampaignPlan> {
  const participants = NODES.map((node) => ({ node, pod: `pod-${node}` }))
  const round = { ...campaignPlan().round!, participants: NODES, minimumUpdates: 4, population: 4 }
  return { participants, round, tiers, ...changes }
}

let story: Story
/** What the hub's clock is ahead of the real one. */
let aheadMs: number
beforeEach(async () => {
  aheadMs = 0
  story = await Story.begin({ clock: { now: () => Date.now() + aheadMs } })
  await story.modelReady()
})
afterEach(async () => story.end())

async function begin(
  changes: Partial<TierNode> = {},
): Promise<{ east: TestController; west: TestController }> {
  await story.applyCampaign(plan(zones(changes)))
  const [east, west] = ['east', 'west'].map((tier) => new TestController(story, tier))
  await Promise.all([east!, west!].map(async (tier) => tier.told(({ basis }) => basis !== undefined)))
  return { east: east!, west: west! }
}

async function deliverFlat(node: string, values = UPDATES[node]!.values): Promise<Answer> {
  const { parameters } = await story.campaign().then(async () => basisOf(new TestController(story, 'west')))
  const facts = { campaign: campaignPlan().uid, round: 1, participant: node, steps: 3, loss: 0.5 }
  const update = { ...facts, bytes: bytesOf({ values }), samples: UPDATES[node]!.samples, parameters }
  return patch(story.endpoint, update, { token: podToken(node) })
}

async function basisOf(controller: TestController): Promise<{ parameters: string }> {
  const { basis } = await controller.told((told) => told.basis !== undefined)
  controller.cancel()
  return { parameters: basis?.parameters?.digest ?? '' }
}

function titleOf({ body }: Answer): string {
  return (JSON.parse(body.toString()) as { title: string }).title
}

async function idleReason(pod: TestParticipant): Promise<string> {
  return (await pod.told('idle')).reason
}

describe('a round in two zones', () => {
  it('is merged from one update a zone, and counts every member', async () => {
    const { east, west } = await begin()
    expect((await east.deliver(of('a', 'b'))).status).toBe(201)
    expect(await story.campaign()).toMatchObject({
      current: { received: 2, wanted: 4, samples: 3 },
      tiers: [
        { name: 'east', epoch: 1, connected: true, delivered: true, wanted: 2 },
        { name: 'west', delivered: false },
      ],
    })
    expect((await west.deliver(of('c', 'd'))).status).toBe(201)
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    // Σ k·k·v / Σ k for k = 1 to 4.
    const merged = Float32Array.of(3, 6, 9, 12)
    expect(current).toMatchObject({ received: 4, samples: 10, trainingLoss: 0.5 })
    const { body } = await story.blob(current!.parametersDigest)
    expect(new Float32Array(Uint8Array.from(body).buffer)).toEqual(merged)
    const told = await east.told((now) => now.merged?.round === 1)
    expect(told.merged).toMatchObject({ evaluators: ['a', 'b'], parameters: { digest: sha256(body) } })
    expect(told.settledRound).toBe(1)
  })

  it('gives each controller its part, and what it needs to go through a round by itself', async () => {
    const { west } = await begin({ minimumUpdates: 2, deadlineSeconds: 20 })
    const told = await west.told(({ tokenKeys }) => tokenKeys !== undefined)
    expect(told).toMatchObject({
      epoch: 1,
      plan: {
        participants: [
          { node: 'c', pod: 'pod-c' },
          { node: 'd', pod: 'pod-d' },
        ],
        round: { round: 1, attempt: 1, participants: ['c', 'd'], minimumUpdates: 2, deadlineSeconds: 20 },
        tiers: [],
      },
      start: { trainableCount: 4, baseVersion: 1, tensors: [{ dimensions: [4], trainable: true }] },
      basis: { round: 1, learningRate: 0.1, population: 4, counted: [] },
      settledRound: 0,
      tokenKeys: TEST_KEYS,
    })
    const parameters = await story.blob(told.start?.parameters?.digest ?? '', west.token)
    expect(parameters.status).toBe(200)
  })

  it('takes what a controller passes on as if the pods had said it', async () => {
    const { east, west } = await begin()
    const failure = { round: 1, reason: 'DatasetUnreadable', message: 'no such file' }
    west.send({ kind: { $case: 'failure', value: { node: 'd', failure } } })
    west.send({ kind: { $case: 'failure', value: { node: 'a', failure } } })
    await until(async () => (await story.campaign()).participants[3]?.failureReason === 'DatasetUnreadable')
    expect((await story.campaign()).participants[0]?.failureReason).toBe('')
    await story.applyCampaign(plan(zones(), { round: { ...plan([]).round!, minimumUpdates: 3, attempt: 2 } }))
    await west.told((now) => now.plan?.round?.attempt === 2)
    await east.deliver(of('a', 'b'))
    await west.deliver(of('c'))
    west.send({ kind: { $case: 'failure', value: { node: 'd', failure } } })
    await story.phase(RoundState_Phase.EVALUATING)
    const merged = await west.told((now) => now.merged?.round === 1)
    const result = {
      round: 1,
      parametersDigest: merged.merged?.parameters?.digest ?? '',
      samples: 5,
      metrics: { loss: 0.25 },
    }
    west.send({ kind: { $case: 'evaluation', value: { node: 'c', result } } })
    west.send({ kind: { $case: 'evaluation', value: { node: 'c', result } } })
    await until(async () => (await story.campaign()).current?.evaluations === 1)
  })

  it('shows what a controller reports of its pods', async () => {
    const { west } = await begin()
    const facts = { round: 1, evaluated: false, failureReason: '', failureMessage: '', trainsFrom: 0 }
    const state = { ...facts, connected: true, lastSeenUnixMs: 5, steps: 7, totalSteps: 9, countsNext: false }
    const participants = ['c', 'a'].map((node) => ({ ...state, node, updateAccepted: true }))
    const problem = { problemReason: 'DiskFull', problemMessage: 'no room' }
    west.send({ kind: { $case: 'report', value: { round: 1, attempt: 1, participants, ...problem } } })
    await until(async () => (await story.campaign()).tiers[1]?.received === 1)
    const seen = await story.campaign()
    expect(seen.tiers[1]).toMatchObject({ round: 1, received: 1, wanted: 2, ...problem })
    expect(seen.participants.map(({ connected, steps }) => `${connected} ${steps}`)).toEqual([
      'false 0',
      'false 0',
      'true 7',
      'false 0',
    ])
  })
})

describe('a training pod that asks the hub', () => {
  it('waits for the controller of its zone, and is sent there once it is there', async () => {
    await story.applyCampaign(plan(zones()))
    const pod = story.participant('a')
    expect(await idleReason(pod)).toBe('WaitingForController')
    const east = new TestController(story, 'east')
    const parent = await pod.told('parent')
    expect(parent).toEqual({
      tier: 'east',
      epoch: 1,
      address: 'east.invalid:7443',
      certificate: story.test.authority,
    })
    east.cancel()
    await story.restart()
    // Known at once, though the controller has not come back yet.
    expect(await story.participant('a').told('parent')).toEqual(parent)
  })

  it('trains for the hub where the manifest says so, until there is a controller', async () => {
    await story.applyCampaign(plan(zones({ replacedWhenLost: false })))
    const pod = story.participant('a')
    await pod.told('train')
    new TestController(story, 'east')
    await pod.told('parent')
  })

  it('waits for the next controller once a plan names it', async () => {
    const { east } = await begin()
    const pod = story.participant('a')
    await pod.told('parent')
    const [first, second] = zones()
    await story.applyCampaign(plan([{ ...first!, epoch: 2, pod: 'pod-of-east-2' }, second!]))
    expect(await idleReason(pod)).toBe('WaitingForController')
    expect(reasonOf(await east.ended)).toBe('EpochFenced')
    new TestController(story, 'east', { epoch: 2 })
    expect((await pod.told('parent')).epoch).toBe(2)
  })
})

describe('an agent', () => {
  it('is told of the controller of its zone while that is there', async () => {
    await story.applyCampaign(plan(zones()))
    const { desired } = story.follow('a')
    const newest = () => desired.at(-1)?.models[0]
    await until(() => newest() !== undefined)
    expect(newest()?.mirror).toBeUndefined()
    const east = new TestController(story, 'east')
    await until(() => newest()?.mirror !== undefined)
    expect(newest()?.mirror).toMatchObject({ tier: 'east', epoch: 1, address: 'east.invalid:7443' })
    const manifest = newest()?.manifest?.digest ?? ''
    expect((await story.blob(manifest, east.token)).status).toBe(200)
    const over = { round: undefined, finished: true, finishedReason: 'done' }
    await story.applyCampaign(plan(zones(), { ...over, controllersStay: true }))
    const other = story.follow('b')
    await until(() => other.desired.length > 0)
    expect(other.desired[0]?.models[0]?.mirror).toMatchObject({ tier: 'east', epoch: 1 })
    await story.applyCampaign(plan(zones(), over))
    await until(() => newest()?.mirror === undefined)
  })
})

describe('an update counts once', () => {
  it('when its node brought it to the hub before its tier offers it', async () => {
    const { east } = await begin()
    expect((await deliverFlat('a')).status).toBe(201)
    const { members } = sumOf(of('a', 'b'))
    expect((await east.offer(members)).counted).toEqual(['a'])
    await east.told(({ basis }) => basis?.counted.length === 1)
    expect((await east.deliver(of('b'))).status).toBe(201)
    expect((await story.campaign()).current).toMatchObject({ received: 2, samples: 3 })
  })

  it('when its node brings it between the offer and the bytes', async () => {
    const { east } = await begin()
    const sum = sumOf(of('a', 'b'))
    const { offerDigest } = await east.offer(sum.members)
    expect((await deliverFlat('a')).status).toBe(201)
    const answer = await east.patch(sum, offerDigest)
    expect([answer.status, titleOf(answer)]).toEqual([409, 'MembersCounted'])
    expect((await story.campaign()).current?.received).toBe(1)
  })

  it('when its node brings it after its tier', async () => {
    const { east } = await begin()
    await east.deliver(of('a', 'b'))
    expect((await deliverFlat('a')).status).toBe(201)
    const other = await deliverFlat('a', [9, 9, 9, 9])
    expect([other.status, titleOf(other)]).toEqual([409, 'OtherBytesAccepted'])
    expect((await story.campaign()).current).toMatchObject({ received: 2, samples: 3 })
  })

  it('when its tier sends the same again, or other bytes under the same offer', async () => {
    const { east } = await begin()
    const sum = sumOf(of('a', 'b'))
    await east.deliver(of('a', 'b'))
    const { counted, offerDigest } = await east.offer(sum.members)
    expect(counted).toEqual([])
    expect((await east.patch(sum, offerDigest)).status).toBe(201)
    const other = await east.patch({ ...sum, bytes: Buffer.alloc(16) }, offerDigest)
    expect([other.status, titleOf(other)]).toEqual([409, 'OtherBytesAccepted'])
    expect((await story.campaign()).current).toMatchObject({ received: 2, samples: 3 })
  })

  it('whatever restarts in between', async () => {
    const { east } = await begin()
    const sum = sumOf(of('a', 'b'))
    const { offerDigest } = await east.offer(sum.members)
    await story.restart()
    const again = new TestController(story, 'east')
    expect((await again.patch(sum, offerDigest, { to: 6 })).status).toBe(204)
    await story.restart()
    const third = new TestController(story, 'east')
    expect((await third.head(sum, offerDigest)).headers['upload-offset']).toBe('6')
    expect((await third.patch(sum, offerDigest, { from: 6 })).status).toBe(201)
    await story.restart()
    const fourth = new TestController(story, 'east')
    expect((await fourth.head(sum, offerDigest)).headers['upload-complete']).toBe('?1')
    expect((await story.campaign()).current).toMatchObject({ received: 2, samples: 3 })
    const west = new TestController(story, 'west')
    await west.deliver(of('c', 'd'))
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    const { body } = await story.blob(current!.parametersDigest)
    expect(new Float32Array(Uint8Array.from(body).buffer)).toEqual(Float32Array.of(3, 6, 9, 12))
  })
})

describe('a controller that takes over in the middle of a round', () => {
  it('closes in the part of its time that is left of the round', async () => {
    const { east } = await begin({ deadlineSeconds: 20 })
    expect((await east.told(({ plan: now }) => now?.round !== undefined)).plan?.round?.deadlineSeconds).toBe(
      20,
    )
    aheadMs = 30_000
    const [first, second] = zones({ deadlineSeconds: 20 })
    const tiers = [{ ...first!, epoch: 2, pod: 'pod-of-east-2' }, second!]
    await story.applyCampaign(plan(tiers))
    const next = new TestController(story, 'east', { epoch: 2 })
    const told = await next.told(({ plan: now }) => now?.round !== undefined)
    expect(told.plan?.round?.deadlineSeconds).toBe(10)
    // Other news of the round do not move it.
    aheadMs = 45_000
    await story.applyCampaign(plan(tiers, { evaluationDeadlineSeconds: 61 }))
    const later = await next.told(({ plan: now }) => now?.evaluationDeadlineSeconds === 61)
    expect(later.plan?.round?.deadlineSeconds).toBe(10)
  })
})

describe('the sum of a zone that comes when its round is closed', () => {
  /** Round 1 of `rounds`, which closed at its deadline with c alone. */
  async function closedWithoutEast(
    lateUpdates: LateUpdates,
    rounds: number,
  ): Promise<{ east: TestController; west: TestController; offered: string }> {
    const round = { ...plan([]).round!, minimumUpdates: 1, rounds }
    await story.applyCampaign(plan(zones(), { lateUpdates, round }))
    const [east, west] = ['east', 'west'].map((tier) => new TestController(story, tier))
    await Promise.all([east!, west!].map(async (tier) => tier.told(({ basis }) => basis !== undefined)))
    const { offerDigest } = await east!.offer(sumOf(of('a', 'b')).members)
    await west!.deliver(of('c'))
    aheadMs = 61_000
    // A changed plan makes the hub look at the clock.
    await story.applyCampaign(plan(zones(), { lateUpdates, round, evaluationDeadlineSeconds: 1 }))
    await story.phase(RoundState_Phase.EVALUATING)
    aheadMs = 63_000
    await story.applyCampaign(plan(zones(), { lateUpdates, round, evaluationDeadlineSeconds: 61 }))
    await story.phase(RoundState_Phase.DONE)
    return { east: east!, west: west!, offered: offerDigest }
  }

  it.each([
    { what: 'it was not offered before', late: LateUpdates.DROP, rounds: 3, offers: true },
    { what: 'it was offered before', late: LateUpdates.DROP, rounds: 3, offers: false },
    { what: 'it was the last round', late: LateUpdates.CARRY, rounds: 1, offers: true },
  ])('is dropped, and the status tells of each member once: $what', async ({ late, rounds, offers }) => {
    const { east, offered } = await closedWithoutEast(late, rounds)
    for (let turn = 0; turn < 2; turn++) {
      if (offers)
        await expect(east.offer(sumOf(of('a', 'b')).members).catch(reasonOf)).resolves.toBe('RoundClosed')
      else expect((await east.patch(sumOf(of('a', 'b')), offered)).status).toBe(410)
    }
    const dropped = { received: 1, late: { counted: 0, dropped: 2 } }
    expect((await story.campaign()).current).toMatchObject(dropped)
    await story.restart()
    expect((await story.campaign()).current).toMatchObject(dropped)
  })

  it('speaks of the nodes of the zone alone', async () => {
    const { east } = await closedWithoutEast(LateUpdates.DROP, 3)
    await expect(east.offer(sumOf(of('a', 'd')).members).catch(reasonOf)).resolves.toBe('RoundClosed')
    expect((await story.campaign()).current).toMatchObject({ late: { dropped: 1 } })
  })

  it('counts in the next round where late updates are carried over, once, whatever restarts', async () => {
    const { east, offered } = await closedWithoutEast(LateUpdates.CARRY, 3)
    expect((await east.patch(sumOf(of('a', 'b')), offered)).status).toBe(201)
    const round = { ...plan([]).round!, round: 2 }
    await story.applyCampaign(plan(zones(), { lateUpdates: LateUpdates.CARRY, round }))
    await story.restart()
    const [again, west] = ['east', 'west'].map((tier) => new TestController(story, tier))
    const told = await again!.told(({ basis }) => basis?.round === 2)
    expect(told.basis?.counted).toEqual(['a', 'b'])
    expect((await again!.offer(sumOf(of('a', 'b')).members, 2)).counted).toEqual(['a', 'b'])
    await west!.deliver(of('c', 'd'), 2)
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    expect(current).toMatchObject({ round: 2, received: 4, samples: 10, late: { counted: 2, dropped: 0 } })
    const { body } = await story.blob(current!.parametersDigest)
    // c moved the model by 3·v; then came Σ k·k·v / Σ k for k = 1 to 4.
    expect([...new Float32Array(Uint8Array.from(body).buffer)]).toEqual([6, 12, 18, 24])
  })
})

describe('what a tier sends is refused', () => {
  it('from a controller that was replaced, at once and for good', async () => {
    const { east } = await begin()
    const sum = sumOf(of('a', 'b'))
    const { offerDigest } = await east.offer(sum.members)
    const [first, second] = zones()
    const replaced = plan([{ ...first!, epoch: 2, pod: 'pod-of-east-2' }, second!])
    await story.applyCampaign(replaced)
    await expect(east.offer(sum.members).catch(reasonOf)).resolves.toBe('EpochFenced')
    const answer = await east.patch(sum, offerDigest)
    expect([answer.status, titleOf(answer)]).toEqual([403, 'EpochFenced'])
    // An operator that looks at an older state names the first one again.
    await story.applyCampaign(plan(zones()))
    await story.restart()
    const old = new TestController(story, 'east')
    expect(reasonOf(await old.ended)).toBe('EpochFenced')
    const next = new TestController(story, 'east', { epoch: 2 })
    expect((await next.deliver(of('a', 'b'))).status).toBe(201)
  })

  it('from a pod that no plan names, which may try again', async () => {
    await begin()
    const early = new TestController(story, 'east', { epoch: 7 })
    const error = await early.ended
    expect([reasonOf(error), error?.code]).toEqual(['TierUnknown', 14])
  })

  it.each([
    { what: 'a node of another zone', members: of('a', 'c'), counted: ['c'] },
    {
      what: 'a node that takes no part',
      members: [...of('a'), { ...of('b')[0]!, node: 'z' }],
      counted: ['z'],
    },
  ])('for $what, which is to be left out', async ({ members, counted }) => {
    const { east } = await begin()
    expect((await east.offer(sumOf(members).members)).counted).toEqual(counted)
  })

  it('when it is no sum, or was not offered', async () => {
    const { east } = await begin()
    const sum = sumOf(of('a', 'b'))
    const unknown = await east.patch(sum, `sha256:${'0'.repeat(64)}`)
    expect([unknown.status, titleOf(unknown)]).toEqual([404, 'OfferUnknown'])
    const { offerDigest } = await east.offer(sum.members)
    const short = await east.patch({ ...sum, bytes: sum.bytes.subarray(4) }, offerDigest)
    expect([short.status, titleOf(short)]).toEqual([422, 'UpdateRefused'])
    const wild = await east.patch({ ...sum, bytes: bytesOf({ values: [NaN, 1, 2, 3] }) }, offerDigest)
    expect([wild.status, titleOf(wild)]).toEqual([422, 'UpdateRefused'])
    expect((await story.campaign()).current?.received).toBe(0)
  })

  it('when the round is committed without it', async () => {
    const { east, west } = await begin()
    const sum = sumOf(of('a', 'b'))
    const { offerDigest } = await east.offer(sum.members)
    for (const node of ['a', 'b']) await deliverFlat(node)
    await west.deliver(of('c', 'd'))
    await story.phase(RoundState_Phase.EVALUATING)
    await expect(east.offer(sumOf(of('a')).members).catch(reasonOf)).resolves.toBe('RoundClosed')
    const late = await east.patch(sum, offerDigest)
    expect([late.status, titleOf(late)]).toEqual([410, 'RoundClosed'])
  })
})
