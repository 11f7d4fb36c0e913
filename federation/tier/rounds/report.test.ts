import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CampaignState } from '#federation/wire/generated/tributary.ts'
import { checkCampaignPlan } from '../plans.ts'
import { campaignPlan } from '../testing/plans.ts'
import { Campaign } from './campaign.ts'
import { campaignState } from './report.ts'
import { Round } from './round.ts'

const NODES = 20_000
const MIB = 1024 * 1024
const base = { digest: `sha256:${'0'.repeat(64)}`, size: 16 }

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-report-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

/** Names in an order that is not theirs, as long as those of a cloud's machines. */
const nodes = Array.from({ length: NODES }, (_, i) => {
  return `ip-${String((i * 7_919) % NODES).padStart(5, '0')}.eu-central-1.compute.internal`
})

async function failingCampaign(): Promise<Campaign> {
  const round = {
    round: 1,
    attempt: 1,
    participants: nodes,
    minimumUpdates: 2,
    deadlineSeconds: 60,
    rounds: 3,
    population: 2,
  }
  const participants = nodes.map((node) => ({ node, pod: `pod-${node}` }))
  const campaign = await Campaign.create(directory, checkCampaignPlan(campaignPlan({ participants, round })))
  const attempt = { ...round, base, state: {}, learningRate: 0.1, openedMs: 0, deadlineMs: 60_000 }
  const running = await Round.create(campaign.roundDirectory(1), attempt)
  campaign.rounds.set(1, running)
  const failure = { attempt: 1, during: 'training', reason: 'DatasetUnreadable' } as const
  for (const participant of nodes) {
    running.failures.set(participant, {
      ...failure,
      participant,
      message: `${participant}: ${'x'.repeat(1_000)}`,
    })
    campaign.lastSeenMs.set(participant, 1_700_000_000_000)
  }
  return campaign
}

describe('the state of a campaign whose whole fleet fails', () => {
  it('fits well into a message, and explains the first fifty failures', async () => {
    const state = campaignState(await failingCampaign(), undefined)
    expect(CampaignState.encode(state).finish().byteLength).toBeLessThan(3 * MIB)
    expect(state.participants.map(({ node }) => node)).toEqual(nodes)
    expect(state.participants.every(({ failureReason }) => failureReason === 'DatasetUnreadable')).toBe(true)
    const explained = state.participants.filter(({ failureMessage }) => failureMessage !== '')
    expect(explained.map(({ node }) => node).sort()).toEqual(nodes.toSorted().slice(0, 50))
    for (const { failureMessage } of explained) expect(failureMessage).toHaveLength(512)
  })
})
