import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LateUpdates, type CampaignPlan, type TrainingPlan } from '#federation/wire/generated/tributary.ts'
import { checkCampaignPlan } from '../plans.ts'
import { campaignPlan, tierNode } from '../testing/plans.ts'
import { acceptUpdate, isLate, noteDropped, placeOf } from './acceptance.ts'
import { Campaign } from './campaign.ts'
import { evaluatorsOf } from './evaluators.ts'
import { campaignState } from './report.ts'
import { Round } from './round.ts'
import { unfinishedTraining } from './unfinished.ts'

const base = { digest: `sha256:${'0'.repeat(64)}`, size: 16 }
const facts = { digest: base.digest, size: 16, samples: 3, steps: 2, loss: 0.5, acceptedMs: 2_000 }
const { DROP, CARRY, DISCOUNT } = LateUpdates

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-acceptance-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

/** Round 1 was closed with the update of a; round 2, if there is one, collects. */
async function closedFirst(lateUpdates: LateUpdates, { rounds = 2 } = {}): Promise<Campaign> {
  const campaign = await Campaign.create(directory, checkCampaignPlan(campaignPlan({ lateUpdates })))
  const attempt = { attempt: 1, participants: ['a', 'b'], minimumUpdates: 1, base, state: {}, population: 2 }
  const times = { openedMs: 1_000, deadlineMs: 61_000, learningRate: 0.1 }
  for (let round = 1; round <= rounds; round++) {
    const opened = await Round.create(campaign.roundDirectory(round), { round, ...attempt, ...times })
    campaign.rounds.set(round, opened)
    if (round === 1) {
      await acceptUpdate(campaign, opened, { participant: 'a', ...facts })
      const updates = [{ participant: 'a', digest: base.digest, samples: 3, steps: 2, loss: 0.5 }]
      await opened.save('commit', { closedMs: 61_000, updates })
    }
  }
  return campaign
}

const roundOf = (campaign: Campaign, number: number): Round => campaign.rounds.get(number) as Round

describe('an update that comes when its round is closed', () => {
  it.each([
    { late: DROP, rounds: 2, want: { refusal: 'round 1 no longer takes updates' } },
    { late: CARRY, rounds: 2, want: { round: 2 } },
    { late: DISCOUNT, rounds: 2, want: { round: 2 } },
    { late: CARRY, rounds: 1, want: { round: 2 } },
  ])('with $late and $rounds rounds open so far goes to $want', async ({ late, rounds, want }) => {
    const campaign = await closedFirst(late, { rounds })
    expect(placeOf(campaign, roundOf(campaign, 1), 'b')).toEqual(want)
  })

  it('names the round that it counts in, and is there after a restart', async () => {
    const campaign = await closedFirst(CARRY)
    await acceptUpdate(campaign, roundOf(campaign, 1), { participant: 'b', ...facts })
    const again = (await Campaign.load(directory)) as Campaign
    expect([...again.buffers.of(2).values()]).toMatchObject([
      { participant: 'b', trainedFrom: 1, countsIn: 2 },
    ])
    expect(campaignState(again, undefined).current).toMatchObject({
      ...{ round: 2, received: 1, wanted: 2 },
      late: { counted: 1, dropped: 0 },
    })
  })

  it('is told of once a node when it is dropped, also after a restart', async () => {
    const campaign = await closedFirst(DROP)
    const first = roundOf(campaign, 1)
    for (let turn = 0; turn < 2; turn++) await noteDropped(campaign, first, 'b')
    const again = (await Campaign.load(directory)) as Campaign
    for (const one of [campaign, again]) expect([...roundOf(one, 1).dropped.keys()]).toEqual(['b'])
    await first.save('closed', { closedMs: 62_000 })
    expect(campaignState(campaign, undefined).history).toMatchObject([
      { round: 1, received: 1, late: { counted: 0, dropped: 1 } },
    ])
  })
})

describe('an update that comes to an edge controller when its round is closed there', () => {
  const parent = { settledRound: 0, takesLate: true }

  it.each([
    { name: 'belongs to its round, for the parent to place', parent, rounds: 2, want: { round: 1 } },
    { name: 'does so before another round opens', parent, rounds: 1, want: { round: 1 } },
    {
      ...{ name: 'is refused where the parent drops it', rounds: 2 },
      ...{ parent: { ...parent, takesLate: false }, want: { refusal: 'round 1 no longer takes updates' } },
    },
    {
      ...{ name: 'is refused when all is said of its round', rounds: 2 },
      ...{ parent: { ...parent, settledRound: 1 }, want: { refusal: 'round 1 no longer takes updates' } },
    },
  ])('$name', async ({ parent: rules, rounds, want }) => {
    const campaign = await closedFirst(DROP, { rounds })
    campaign.parent = rules
    expect(placeOf(campaign, roundOf(campaign, 1), 'b')).toEqual(want)
  })

  it('is refused after an attempt that ended short: there is another', async () => {
    const campaign = await closedFirst(DROP)
    campaign.parent = parent
    const second = roundOf(campaign, 2)
    await second.save('short', { attempt: 1, closedMs: 61_000, reason: 'DeadlineExceeded' })
    expect(placeOf(campaign, second, 'b')).toHaveProperty('refusal')
  })

  it.each([
    { takesLate: true, want: 1 },
    { takesLate: false, want: undefined },
  ])('is awaited from its node where the parent takes it: $takesLate', async ({ takesLate, want }) => {
    const campaign = await closedFirst(DROP)
    campaign.parent = { ...parent, takesLate }
    campaign.training.set('b', 1)
    expect(unfinishedTraining(campaign, 'b')?.number).toBe(want)
  })

  it('is awaited from a node that the parent knows through its controller alone', async () => {
    const campaign = await closedFirst(CARRY)
    const tiers = [tierNode('east', ['b'])]
    await campaign.applyPlan(checkCampaignPlan(campaignPlan({ lateUpdates: CARRY, tiers })), 0)
    expect(unfinishedTraining(campaign, 'b')).toBeUndefined()
    const { participants } = campaignState(campaign, undefined)
    const said = participants.map((state) => ({ ...state, trainsFrom: state.node === 'b' ? 1 : 0 }))
    campaign.controllers.report('east', {
      ...{ round: 2, attempt: 1, problemReason: '', problemMessage: '' },
      participants: new Map(said.map((state) => [state.node, state])),
    })
    expect(unfinishedTraining(campaign, 'b')?.number).toBe(1)
  })
})

describe('who is late', () => {
  it.each([
    { name: 'one who was asked and is not in', node: 'b', round: 1, late: DROP, want: true },
    { name: 'not who is in', node: 'a', round: 1, late: DROP, want: false },
    { name: 'not who was not asked', node: 'c', round: 1, late: DROP, want: false },
    { name: 'not while the round collects', node: 'b', round: 2, late: DROP, want: false },
    { name: 'not whose update is carried over', node: 'b', round: 1, late: CARRY, want: false },
  ])('$name', async ({ node, round, late, want }) => {
    const campaign = await closedFirst(late)
    expect(isLate(campaign, roundOf(campaign, round), node)).toBe(want)
  })

  it('not after an attempt that ended short: there is another', async () => {
    const campaign = await closedFirst(DROP)
    const second = roundOf(campaign, 2)
    await second.save('short', { attempt: 1, closedMs: 61_000, reason: 'DeadlineExceeded' })
    expect(placeOf(campaign, second, 'b')).toHaveProperty('refusal')
    await noteDropped(campaign, second, 'b')
    expect(second.dropped.size).toBe(0)
  })
})

describe('who evaluates', () => {
  it.each([
    { late: DROP, trains: 1, want: ['a', 'b'] },
    { late: CARRY, trains: 0, want: ['a', 'b'] },
    { late: CARRY, trains: 1, want: ['a'] },
  ])('with $late are $want when b trains round $trains', async ({ late, trains, want }) => {
    const campaign = await closedFirst(late, { rounds: 1 })
    campaign.training.set('b', trains)
    expect(evaluatorsOf(campaign, roundOf(campaign, 1))).toEqual(want)
  })
})

describe('a plan', () => {
  const planOf = (changes: Partial<CampaignPlan>) => checkCampaignPlan(campaignPlan(changes))

  it('drops late updates when it says nothing of them', () => {
    expect(planOf({ lateUpdates: LateUpdates.UNSPECIFIED }).lateUpdates).toBe(DROP)
  })

  it.each([
    { strategy: { type: 'FedNova' } },
    { strategy: { type: 'Median' } },
    { strategy: { type: 'FedBuff', bufferSize: 2 } },
  ])('is refused when it carries late updates of $strategy.type over', ({ strategy }) => {
    const training = { ...(campaignPlan().training as TrainingPlan), strategy: JSON.stringify(strategy) }
    expect(() => planOf({ training, lateUpdates: CARRY })).toThrow(
      `lateUpdates: is CARRY; ${strategy.type} is no mean weighted by samples alone and goes with DROP`,
    )
    expect(planOf({ training, lateUpdates: DROP }).lateUpdates).toBe(DROP)
  })

  it('cannot change what becomes of late updates', async () => {
    const campaign = await closedFirst(CARRY)
    await expect(campaign.applyPlan(planOf({ lateUpdates: DISCOUNT }), 0)).rejects.toMatchObject({
      reason: 'PlanImmutable',
    })
  })
})
