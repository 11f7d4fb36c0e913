// Campaigns that ask for deltas of parameters: what is offered to whom, and that a round goes on when none can be made.
import { afterEach, describe, expect, it } from 'vitest'
import { RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import type { ModelCompiler } from '#federation/tier/compiler.ts'
import { floats, patch } from './testing/clients.ts'
import { podToken, tinyCompiler } from './testing/fakes.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import { Story } from './testing/story.ts'

let story: Story
afterEach(async () => story.end())

const DELTA = Buffer.of(1, 2, 3)

async function mergedRound(delta: ModelCompiler['delta'], type = 'Delta') {
  story = await Story.begin({ compiler: { ...tinyCompiler, delta } })
  await story.modelReady()
  const { training } = campaignPlan()
  if (!training) throw new Error('unreachable')
  const alone = { attempt: 1, participants: ['a'], minimumUpdates: 1, deadlineSeconds: 60 }
  const plan = {
    training: { ...training, transfer: JSON.stringify({ download: { type } }) },
    round: { round: 1, ...alone, rounds: 3, population: 2 },
  }
  await story.applyCampaign(plan)
  const a = story.participant('a')
  const first = await a.told('train')
  const update = await story.updateOf(a, 'a', floats(1, 2, 3, 4))
  expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
  return { a, plan, first, evaluate: await a.told('evaluate') }
}

describe('a campaign that asks for deltas', () => {
  it('offers one from what the round started from, in evaluation and in the next round, to its pods', async () => {
    const { a, plan, first, evaluate } = await mergedRound(async () => Promise.resolve(DELTA))
    expect(first.delta).toBeUndefined()
    expect(evaluate.delta?.baseDigest).toBe(first.parameters?.digest)
    const digest = evaluate.delta?.blob?.digest ?? ''
    expect((await story.blob(digest, podToken('a'))).body).toEqual(DELTA)
    await story.evaluate(a, 1, { loss: 1 })
    await story.phase(RoundState_Phase.DONE)
    await story.applyCampaign({ ...plan, round: { ...plan.round, round: 2 } })
    expect((await a.told('train', 2)).delta).toEqual(evaluate.delta)
  })

  it.each([
    { name: 'none can be made', delta: async () => Promise.reject(new RangeError('lengths differ')) },
    { name: 'it saves nothing', delta: async () => Promise.resolve(Buffer.alloc(16)) },
  ])('goes on without one when $name', async ({ delta }) => {
    const { evaluate } = await mergedRound(delta)
    expect(evaluate.delta).toBeUndefined()
    expect((await story.campaign()).failureReason).toBe('')
  })

  it('makes none unless it is asked for', async () => {
    const { evaluate } = await mergedRound(async () => Promise.resolve(DELTA), 'Full')
    expect(evaluate.delta).toBeUndefined()
  })
})
