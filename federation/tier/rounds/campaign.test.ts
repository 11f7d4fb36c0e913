import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TrainingPlan } from '#federation/wire/generated/tributary.ts'
import { checkCampaignPlan } from '../plans.ts'
import { campaignPlan } from '../testing/plans.ts'
import { acceptUpdate } from './acceptance.ts'
import { Campaign, RECONNECT_GRACE_MS } from './campaign.ts'
import { Round } from './round.ts'

const planned = campaignPlan().training as TrainingPlan
const huber = JSON.stringify({ loss: { type: 'Huber' }, optimizer: { type: 'SGD' }, batchSize: 8 })
const base = { digest: `sha256:${'0'.repeat(64)}`, size: 16 }

let directory: string
let campaign: Campaign
let round: Round
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-campaign-'))
  campaign = await Campaign.create(directory, checkCampaignPlan(campaignPlan()))
  const times = { openedMs: 1_000, deadlineMs: 61_000 }
  const basis = { state: {}, learningRate: 0.1, population: 2 }
  const attempt = {
    round: 1,
    attempt: 1,
    participants: ['a', 'b'],
    minimumUpdates: 2,
    base,
    ...times,
    ...basis,
  }
  round = await Round.create(campaign.roundDirectory(1), attempt)
  campaign.rounds.set(1, round)
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

describe('the deadline of a round', () => {
  it('is that of its plan', () => {
    campaign.startedMs = 500
    expect(campaign.deadlineOf(round)).toBe(61_000)
  })

  it('leaves time to come back after the hub was away', () => {
    campaign.startedMs = 90_000
    expect(campaign.deadlineOf(round)).toBe(90_000 + RECONNECT_GRACE_MS)
  })

  it('does not change any more once the round is over', async () => {
    campaign.startedMs = 90_000
    await round.save('commit', { closedMs: 61_000, updates: [] })
    expect(campaign.deadlineOf(round)).toBe(61_000)
  })

  it('stands still while the plan wants no round', async () => {
    await campaign.applyPlan(checkCampaignPlan(campaignPlan({ round: undefined })), 31_000)
    expect(campaign.facts(round).paused).toBe(true)
    await campaign.applyPlan(checkCampaignPlan(campaignPlan()), 131_000)
    expect(campaign.facts(round)).toMatchObject({ paused: false, deadlineMs: 161_000 })
  })
})

describe('a campaign', () => {
  it('is the same after it is read again', async () => {
    const update = { digest: base.digest, size: 16, samples: 3, steps: 2, loss: 0.5, acceptedMs: 2_000 }
    await acceptUpdate(campaign, round, { participant: 'a', ...update })
    await round.addFailure({ participant: 'b', attempt: 1, during: 'training', reason: 'X', message: 'y' })
    const again = await Campaign.load(directory)
    expect(again?.plan).toEqual(campaign.plan)
    expect(again?.current && again.facts(again.current)).toEqual(campaign.facts(round))
  })

  it('takes no update once its set of updates is committed', async () => {
    await round.save('commit', { closedMs: 61_000, updates: [] })
    const update = {
      participant: 'a',
      digest: base.digest,
      size: 16,
      samples: 3,
      steps: 2,
      loss: 0.5,
      acceptedMs: 2_000,
    }
    await expect(acceptUpdate(campaign, round, update)).rejects.toMatchObject({ reason: 'RoundClosed' })
    expect(round.updates.size).toBe(0)
  })

  it.each([
    { field: 'training', change: { training: { ...planned, training: huber } } },
    { field: 'modelUid', change: { modelUid: 'other' } },
  ])('never changes its $field', async ({ field, change }) => {
    const plan = checkCampaignPlan(campaignPlan(change))
    await expect(campaign.applyPlan(plan, 0)).rejects.toMatchObject({
      reason: 'PlanImmutable',
      message: expect.stringContaining(field) as string,
    })
  })
})

describe('a plan', () => {
  it('that means the same is the same: defaults may be left out, and fields come in any order', () => {
    const written = {
      batchSize: 8,
      optimizer: { momentum: 0, type: 'SGD' },
      loss: { type: 'MeanSquaredError' },
    }
    const plan = campaignPlan({ training: { ...planned, training: JSON.stringify(written) } })
    expect(checkCampaignPlan(plan)).toEqual(checkCampaignPlan(campaignPlan()))
  })

  it.each([
    { said: 'uid: is not a UID', change: { uid: 'a/b' } },
    { said: 'name: is not a Kubernetes name', change: { name: '..' } },
    {
      said: 'participants: names a node twice',
      change: {
        participants: [
          { node: 'a', pod: 'x' },
          { node: 'a', pod: 'y' },
        ],
      },
    },
    { said: 'participants.0.node', change: { participants: [{ node: '../x', pod: 'x' }] } },
    { said: 'evaluationDeadlineSeconds', change: { evaluationDeadlineSeconds: 0 } },
    {
      said: 'training.strategy.type',
      change: { training: { ...planned, strategy: '{"type":"Best"}' } },
    },
    {
      said: 'round.minimumUpdates: is 2; a buffer of FedBuff holds bufferSize 1 updates',
      change: { training: { ...planned, strategy: '{"type":"FedBuff","bufferSize":1}' } },
    },
    {
      said: 'round.minimumUpdates: Krum with byzantine 1 needs at least 5 updates',
      change: { training: { ...planned, strategy: '{"type":"Krum","byzantine":1}' } },
    },
    {
      said: 'training.training: objective is {"type":"Plain"}; the strategy needs {"type":"Scaffold"}',
      change: { training: { ...planned, strategy: '{"type":"Scaffold"}' } },
    },
    { said: 'training.training: is not JSON', change: { training: { ...planned, training: '{' } } },
    {
      said: 'training.training.batchSize',
      change: { training: { ...planned, training: '{"loss":{"type":"Huber"},"optimizer":{"type":"SGD"}}' } },
    },
  ])('is refused, saying $said', ({ said, change }) => {
    expect(() => checkCampaignPlan(campaignPlan(change))).toThrow(said)
  })
})
