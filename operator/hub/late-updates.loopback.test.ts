// What spec.lateUpdates says, over real TLS: a node whose update comes when its round is closed, and whatever is restarted.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  LateUpdates,
  RoundState_Phase,
  type CampaignPlan,
  type CampaignState,
  type TrainAssignment,
} from '#federation/wire/generated/tributary.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import {
  floats,
  patch,
  sha256,
  type Answer,
  type TestParticipant,
  type TestUpdate,
} from './testing/clients.ts'
import { podToken } from './testing/fakes.ts'
import { Story, until } from './testing/story.ts'

const NODES = ['a', 'b', 'c']

function plan(lateUpdates: LateUpdates, round: number, minimumUpdates = 3): Partial<CampaignPlan> {
  return {
    lateUpdates,
    participants: NODES.map((node) => ({ node, pod: `pod-${node}` })),
    round: {
      ...{ round, attempt: 1, participants: NODES, minimumUpdates, deadlineSeconds: 60 },
      ...{ rounds: 4, population: 3 },
    },
  }
}

let nowMs = 1_800_000_000_000
let story: Story
beforeEach(async () => {
  story = await Story.begin({ clock: { now: () => nowMs } })
  await story.modelReady()
})
afterEach(async () => story.end())

const updateTo = ({ round, parameters }: TrainAssignment, node: string, value: number): TestUpdate => ({
  ...{ campaign: CAMPAIGN, round, participant: node, samples: 1, steps: 3, loss: 0.5 },
  ...{ bytes: floats(value, value, value, value), parameters: parameters?.digest ?? '' },
})

const deliver = (node: string, trained: TrainAssignment, value: number): Promise<Answer> =>
  patch(story.endpoint, updateTo(trained, node, value), { token: podToken(node) })

async function sent(node: string, pod: TestParticipant, round: number, value: number): Promise<void> {
  expect(await deliver(node, await pod.told('train', round), value)).toMatchObject({ status: 201 })
}

async function done(round: number): Promise<CampaignState> {
  await until(async () => {
    const { current } = await story.campaign()
    return current?.round === round && current.phase === RoundState_Phase.DONE
  })
  return story.campaign()
}

async function parametersAfter(round: number): Promise<number> {
  const { current } = await done(round)
  const { body } = await story.blob(current?.parametersDigest ?? '')
  return new Float32Array(Uint8Array.from(body).buffer)[0] ?? Number.NaN
}

async function evaluateAll(...pods: TestParticipant[]): Promise<void> {
  await Promise.all(pods.map(async (pod) => story.evaluate(pod, 1, { loss: 1 })))
}

/** Lets the deadline of the round pass, by the hub's clock, and has it look. */
async function closeRound(late: LateUpdates, round: number): Promise<void> {
  nowMs += 61_000
  // A changed plan makes the hub look at the clock.
  await story.applyCampaign({ ...plan(late, round, 1), evaluationDeadlineSeconds: 61 })
}

interface Pods {
  readonly a: TestParticipant
  readonly b: TestParticipant
  /** What c was told to train in the first round, which closed without it. */
  readonly old: TrainAssignment
  readonly c: TestParticipant
}

/** The first round, in which a and b moved the model by 2 and c was away. */
async function firstRoundWithoutC(late: LateUpdates): Promise<Pods> {
  await story.applyCampaign(plan(late, 1, 1))
  const [a, b, c] = [story.participant('a'), story.participant('b'), story.participant('c')]
  const old = await c.told('train', 1)
  c.cancel()
  await until(async () =>
    (await story.campaign()).participants.some((one) => one.node === 'c' && !one.connected),
  )
  await sent('a', a, 1, 1)
  await sent('b', b, 1, 3)
  await closeRound(late, 1)
  await Promise.all([a.told('evaluate'), b.told('evaluate')])
  nowMs += 31_000
  await evaluateAll(a, b)
  expect(await parametersAfter(1)).toBe(2)
  return { a, b, c, old }
}

describe('with Drop', () => {
  it('a late update is refused for good, its bytes are not kept, and the status tells of it once', async () => {
    const { old } = await firstRoundWithoutC(LateUpdates.DROP)
    await story.applyCampaign(plan(LateUpdates.DROP, 2))
    for (let turn = 0; turn < 2; turn++) {
      const late = await deliver('c', old, 8)
      expect(late.status).toBe(410)
      expect(JSON.parse(late.body.toString())).toMatchObject({ title: 'RoundClosed' })
    }
    expect((await story.campaign()).history).toMatchObject([{ round: 1, late: { counted: 0, dropped: 1 } }])
    expect(existsSync(spooled('c', 8))).toBe(false)
  })

  it('a pod that comes back with it is told to train anew, and the status tells of it', async () => {
    await firstRoundWithoutC(LateUpdates.DROP)
    await story.applyCampaign(plan(LateUpdates.DROP, 2))
    await story.participant('c', 1).told('train', 2)
    await until(async () => (await story.campaign()).history[0]?.late?.dropped === 1)
    await story.restart()
    expect((await story.campaign()).history).toMatchObject([{ round: 1, late: { counted: 0, dropped: 1 } }])
  })

  it('who comes back with what was accepted is not late', async () => {
    const { a } = await firstRoundWithoutC(LateUpdates.DROP)
    await story.applyCampaign(plan(LateUpdates.DROP, 2))
    a.cancel()
    await story.participant('a', 1).told('train', 2)
    expect((await story.campaign()).history).toMatchObject([{ round: 1, late: { counted: 0, dropped: 0 } }])
  })
})

const spooled = (node: string, value: number): string =>
  join(
    ...[story.test.directory, 'campaigns', CAMPAIGN, 'rounds', '1', 'updates', node],
    `${sha256(floats(value, value, value, value)).slice('sha256:'.length)}.update`,
  )

describe.each([
  { late: LateUpdates.CARRY, weight: 1 },
  { late: LateUpdates.DISCOUNT, weight: Math.SQRT1_2 },
])('with $late', ({ late, weight }) => {
  it('a pod that comes back is asked for its update, which counts in the next round, once, whatever is restarted', async () => {
    const { old } = await firstRoundWithoutC(late)
    await story.applyCampaign(plan(late, 2))
    const c = story.participant('c', 1)
    await sent('c', c, 1, 8)
    expect(existsSync(spooled('c', 8))).toBe(true)
    await c.idle('UpdateAccepted')
    await story.restart()
    expect((await deliver('c', old, 8)).status).toBe(201)
    expect((await deliver('c', old, 9)).status).toBe(409)
    expect((await story.campaign()).current).toMatchObject({ round: 2, received: 1, wanted: 3 })
    const [a, b] = [story.participant('a'), story.participant('b')]
    await sent('a', a, 2, 4)
    await sent('b', b, 2, 6)
    await evaluateAll(a, b, story.participant('c', 1))
    expect(await parametersAfter(2)).toBe(Math.fround(2 + (4 + 6 + 8 * weight) / 3))
    expect((await story.campaign()).current).toMatchObject({ received: 3, late: { counted: 1, dropped: 0 } })
    expect(existsSync(spooled('c', 8))).toBe(false)
  })

  it('a slow pod goes on while its round closes, and is not asked to evaluate', async () => {
    await story.applyCampaign(plan(late, 1, 1))
    const [a, b, c] = [story.participant('a'), story.participant('b'), story.participant('c')]
    await c.told('train', 1)
    await sent('a', a, 1, 1)
    await sent('b', b, 1, 3)
    await closeRound(late, 1)
    await evaluateAll(a, b)
    await done(1)
    await sent('c', c, 1, 8)
    const kinds = c.assignments.map(({ kind }) => kind?.$case)
    expect(kinds).toEqual(expect.not.arrayContaining(['evaluate']))
    // No round collects: it is in the next one already.
    await story.applyCampaign(plan(late, 2))
    await until(async () => (await story.campaign()).current?.round === 2)
    expect((await story.campaign()).current).toMatchObject({ received: 1, late: { counted: 1 } })
  })

  it('of two updates of a node the one accepted first counts in the round, the other in the one after it', async () => {
    const { a, b, old } = await firstRoundWithoutC(late)
    await story.applyCampaign(plan(late, 2))
    const fresh = await story.participant('c').told('train', 2)
    expect((await deliver('c', old, 8)).status).toBe(201)
    expect((await deliver('c', fresh, 16)).status).toBe(201)
    expect((await story.campaign()).current).toMatchObject({ round: 2, received: 1 })
    await sent('a', a, 2, 4)
    await sent('b', b, 2, 6)
    await evaluateAll(a, b, story.participant('c'))
    const second = await parametersAfter(2)
    expect(second).toBe(Math.fround(2 + (4 + 6 + 8 * weight) / 3))
    await story.applyCampaign(plan(late, 3))
    await a.told('train', 3)
    const c = story.participant('c')
    await c.idle('UpdateAccepted')
    await sent('a', a, 3, 1)
    await sent('b', b, 3, 1)
    await evaluateAll(a, b, c)
    expect(await parametersAfter(3)).toBe(Math.fround(second + (1 + 1 + 16 * weight) / 3))
  })

  it('what comes when the last round is closed is dropped', async () => {
    await story.applyCampaign({ ...plan(late, 1, 1), round: { ...plan(late, 1, 1).round!, rounds: 1 } })
    const [a, c] = [story.participant('a'), story.participant('c')]
    const old = await c.told('train', 1)
    await sent('a', a, 1, 1)
    nowMs += 61_000
    const last = { ...plan(late, 1, 1), round: { ...plan(late, 1, 1).round!, rounds: 1 } }
    await story.applyCampaign({ ...last, evaluationDeadlineSeconds: 61 })
    await Promise.all([a.told('evaluate'), c.told('evaluate')])
    expect((await deliver('c', old, 8)).status).toBe(410)
    expect((await story.campaign()).current).toMatchObject({ late: { counted: 0, dropped: 1 } })
  })
})
