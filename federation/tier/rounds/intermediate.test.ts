import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkCampaignPlan } from '../plans.ts'
import type { MemberRecord } from '../store/records.ts'
import { campaignPlan, tierNode } from '../testing/plans.ts'
import { intermediateKey, offerDigest } from '../tiers/members.ts'
import { acceptUpdate } from './acceptance.ts'
import { Campaign } from './campaign.ts'
import { acceptIntermediate, answerOffer, offeredMembers } from './intermediate.ts'
import { Round } from './round.ts'

const digest = `sha256:${'0'.repeat(64)}`
const plan = campaignPlan({
  participants: ['a', 'b', 'c', 'd'].map((node) => ({ node, pod: `pod-${node}` })),
  tiers: [tierNode('east', ['a', 'b', 'x']), tierNode('west', ['c'])],
})

let directory: string
let campaign: Campaign
let round: Round
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-intermediate-'))
  campaign = await Campaign.create(directory, checkCampaignPlan(plan))
  const attempt = { round: 1, attempt: 1, participants: ['a', 'b', 'c', 'd'], minimumUpdates: 2 }
  const basis = { base: { digest, size: 16 }, state: {}, learningRate: 0.1, population: 4 }
  round = await Round.create(campaign.roundDirectory(1), {
    ...attempt,
    ...basis,
    openedMs: 1_000,
    deadlineMs: 61_000,
  })
  campaign.rounds.set(1, round)
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

function members(...nodes: string[]): MemberRecord[] {
  return nodes.map((node) => ({ node, digest, samples: 3, steps: 2, loss: 0.5 }))
}

async function accept(tier: string, nodes: string[]): Promise<void> {
  const list = members(...nodes)
  const facts = { digest, size: 16, acceptedMs: 2_000 }
  await acceptIntermediate(campaign, round, {
    tier,
    epoch: 1,
    offer: offerDigest(list),
    members: list,
    ...facts,
  })
}

const counting = (): string[] => [...campaign.buffers.of(1).keys()].sort()

/** Whose own update counts before, and what is then said of east's. */
const cases: readonly {
  what: string
  before: () => Promise<unknown>
  nodes: string[]
  reason: string
  counts: string[]
}[] = [
  {
    what: 'one of them was accepted from its node',
    before: async () =>
      acceptUpdate(campaign, round, { participant: 'b', size: 16, ...own, acceptedMs: 1_500 }),
    nodes: ['a', 'b'],
    reason: 'MembersCounted',
    counts: ['b'],
  },
  {
    what: 'one of them came in an earlier sum of the tier',
    before: async () => accept('east', ['a']),
    nodes: ['a', 'b'],
    reason: 'MembersCounted',
    counts: ['a'],
  },
  {
    what: 'one of them belongs to another tier',
    before: async () => Promise.resolve(),
    nodes: ['a', 'c'],
    reason: 'MembersCounted',
    counts: [],
  },
  {
    what: 'one of them has no pod in the campaign',
    before: async () => Promise.resolve(),
    nodes: ['a', 'x'],
    reason: 'MembersCounted',
    counts: [],
  },
  {
    what: 'the plan names a later controller',
    before: async () => {
      const [east, west] = plan.tiers
      const tiers = [{ ...east!, epoch: 2, pod: 'pod-of-east-2' }, west!]
      await campaign.applyPlan(checkCampaignPlan({ ...plan, tiers }), 1_500)
    },
    nodes: ['a', 'b'],
    reason: 'EpochFenced',
    counts: [],
  },
  {
    what: 'the set of updates is committed',
    before: async () => round.save('commit', { closedMs: 1_900, updates: [] }),
    nodes: ['a', 'b'],
    reason: 'RoundClosed',
    counts: [],
  },
]
const own = { digest, samples: 3, steps: 2, loss: 0.5 }

describe('the members of an intermediate update', () => {
  it('count all at once, also after a restart', async () => {
    await accept('east', ['a', 'b'])
    expect(counting()).toEqual(['a', 'b'])
    const again = await Campaign.load(directory)
    const update = again?.rounds.get(1)?.updates.get('b')
    expect(update).toMatchObject({
      digest,
      samples: 3,
      through: intermediateKey('east', offerDigest(members('a', 'b'))),
    })
    expect([...(again?.buffers.of(1).keys() ?? [])].sort()).toEqual(['a', 'b'])
  })

  it.each(cases)('do not count, none of them, when $what', async ({ before, nodes, reason, counts }) => {
    await before()
    await expect(accept('east', nodes)).rejects.toMatchObject({ reason })
    expect(counting()).toEqual(counts)
  })

  it('count once, though the update of one of them was on its way from its node', async () => {
    await accept('east', ['a', 'b'])
    const update = { participant: 'b', size: 16, ...own, acceptedMs: 3_000 }
    expect(await acceptUpdate(campaign, round, update)).toBe(false)
    const again = (await Campaign.load(directory))?.rounds.get(1)
    for (const one of [round, again]) expect(one?.updates.get('b')?.through).toMatch(/^east\//)
  })

  it('may come in several sums, none in two', async () => {
    await accept('east', ['a'])
    await accept('east', ['b'])
    await accept('west', ['c'])
    expect(counting()).toEqual(['a', 'b', 'c'])
  })
})

describe('an offer', () => {
  it('is written down when all members are wanted, and only then', async () => {
    await accept('east', ['a'])
    const refused = await answerOffer(campaign, round, { tier: 'east', members: members('a', 'b') })
    expect(refused.counted).toEqual(['a'])
    await expect(offeredMembers(round, 'east', refused.offer)).rejects.toThrow('tier east has made no offer')
    const taken = await answerOffer(campaign, round, { tier: 'east', members: members('b') })
    expect(taken.counted).toEqual([])
    expect(await offeredMembers(round, 'east', taken.offer)).toEqual(members('b'))
  })

  it('promises nothing', async () => {
    const { offer } = await answerOffer(campaign, round, { tier: 'east', members: members('a') })
    expect(offer).toBe(offerDigest(members('a')))
    expect(counting()).toEqual([])
  })

  it('is answered the same once it was delivered', async () => {
    await accept('east', ['a'])
    const { counted } = await answerOffer(campaign, round, { tier: 'east', members: members('a') })
    expect(counted).toEqual([])
  })

  it('is refused after very many others whose bytes have not come', async () => {
    const offer = async (node: string, samples: number): Promise<string[]> => {
      const list = members(node).map((member) => ({ ...member, samples }))
      return (await answerOffer(campaign, round, { tier: 'east', members: list })).counted
    }
    for (let samples = 1; samples <= 256; samples++) await offer('a', samples)
    expect(await offer('a', 1)).toEqual([])
    const detail = 'the bytes of 256 offers of tier east to round 1 have not come'
    await expect(offer('a', 257)).rejects.toThrow(detail)
    // One that counts is out of the way: late sums of a large zone are many.
    await accept('east', ['a'])
    expect(await offer('b', 1)).toEqual([])
  })
})
