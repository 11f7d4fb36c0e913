// FedBuff over real TLS: rounds that close as soon as their buffer is full, and what becomes of updates that were trained
// from an earlier round's parameters, whatever is restarted meanwhile.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  RoundState_Phase,
  type CampaignPlan,
  type ParticipantState,
  type RoundPlan,
  type TrainAssignment,
  type TrainingPlan,
} from '#federation/wire/generated/tributary.ts'
import {
  floats,
  http,
  patch,
  sha256,
  uploadHeaders,
  type Answer,
  type TestParticipant,
} from './testing/clients.ts'
import { updatePath } from '#federation/wire/names.ts'
import { podToken, tinyCompiler, tinyModel } from './testing/fakes.ts'
import { MODEL_URI } from './testing/harness.ts'
import type { ModelCompiler } from '#federation/tier/compiler.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { Story, until } from './testing/story.ts'

const NODES = ['a', 'b', 'c']
const LAST = 4

interface Choices extends Partial<RoundPlan> {
  readonly maxStaleness?: number
  readonly bufferSize?: number
}

/** Three nodes, of which two updates make a merge. */
function plan({ maxStaleness = 2, bufferSize = 2, ...round }: Choices): Partial<CampaignPlan> {
  const strategy = JSON.stringify({ type: 'FedBuff', bufferSize, maxStaleness })
  const planned: RoundPlan = {
    ...{ round: 1, attempt: 1, participants: NODES, minimumUpdates: 1, deadlineSeconds: 60 },
    ...{ rounds: LAST, population: 3 },
    ...round,
  }
  return {
    training: { ...(campaignPlan().training as TrainingPlan), strategy },
    participants: NODES.map((node) => ({ node, pod: `pod-${node}` })),
    round: planned,
  }
}

let story: Story
beforeEach(async () => {
  story = await Story.begin()
  await story.modelReady()
})
afterEach(async () => story.end())

const started = (pod: TestParticipant, round: number): Promise<TrainAssignment> => pod.told('train', round)

/** Sends what a node learned, with the facts of the assignment that it answers. */
async function deliver(
  node: string,
  { round, parameters }: TrainAssignment,
  value: number | readonly number[],
): Promise<Answer> {
  const facts = { campaign: CAMPAIGN, round, participant: node, samples: 1, steps: 3, loss: 0.5 }
  const bytes = floats(...(typeof value === 'number' ? [value, value, value, value] : value))
  const update = { ...facts, bytes, parameters: parameters?.digest ?? '' }
  return patch(story.endpoint, update, { token: podToken(node) })
}

async function sent(node: string, pod: TestParticipant, round: number, value: number): Promise<void> {
  expect(await deliver(node, await started(pod, round), value)).toMatchObject({ status: 201 })
}

async function evaluateAll(...pods: TestParticipant[]): Promise<void> {
  await Promise.all(pods.map(async (pod) => story.evaluate(pod, 1, { loss: 1 })))
}

async function done(round: number): Promise<Float32Array> {
  await until(async () => {
    const { current } = await story.campaign()
    return current?.round === round && current.phase === RoundState_Phase.DONE
  })
  const { current } = await story.campaign()
  const { body } = await story.blob(current?.parametersDigest ?? '')
  return new Float32Array(Uint8Array.from(body).buffer)
}

function trainingsOf({ assignments }: TestParticipant): TrainAssignment[] {
  return assignments.flatMap(({ kind }) => (kind?.$case === 'train' ? [kind.value] : []))
}

async function stateOf(node: string): Promise<ParticipantState | undefined> {
  return (await story.campaign()).participants.find((state) => state.node === node)
}

/** A round without c, who trains on from the first round's parameters. */
async function firstRoundWithoutC(choices: Choices = {}): Promise<Record<'a' | 'b' | 'c', TestParticipant>> {
  await story.applyCampaign(plan(choices))
  const [a, b, c] = [story.participant('a'), story.participant('b'), story.participant('c')]
  await started(c, 1)
  await sent('a', a, 1, 1)
  await sent('b', b, 1, 3)
  await evaluateAll(a, b)
  expect(await done(1)).toEqual(Float32Array.of(2, 2, 2, 2))
  return { a, b, c }
}

describe('a round of FedBuff', () => {
  it('merges a full buffer while others still train, and their updates, discounted, in a later round', async () => {
    const { a, b, c } = await firstRoundWithoutC()
    expect(trainingsOf(c)).toHaveLength(1)
    expect(c.assignments.at(-1)?.kind).toMatchObject({ $case: 'train', value: { round: 1 } })
    const { current } = await story.campaign()
    expect(current).toMatchObject({ received: 2, wanted: 2, evaluations: 2 })
    expect(await stateOf('c')).toMatchObject({ trainsFrom: 1, updateAccepted: false })

    await story.applyCampaign(plan({ round: 2 }))
    await started(b, 2)
    await sent('c', c, 1, 8)
    // At once, although the round goes on: from the newest parameters.
    await started(c, 2)
    expect(await stateOf('c')).toMatchObject({ trainsFrom: 2, updateAccepted: true })
    await sent('a', a, 2, 4)
    await evaluateAll(a, c)
    const merged = Math.fround(2 + (4 + 8 / Math.sqrt(2)) / 2)
    expect(await done(2)).toEqual(Float32Array.of(merged, merged, merged, merged))
    expect(b.assignments.at(-1)?.kind).toMatchObject({ $case: 'train', value: { round: 2 } })
  })

  it('takes a stale update while its round is evaluated, for the next one, once', async () => {
    await story.applyCampaign(plan({}))
    const [a, b, c] = [story.participant('a'), story.participant('b'), story.participant('c')]
    const old = await started(c, 1)
    await sent('a', a, 1, 1)
    await sent('b', b, 1, 3)
    await Promise.all([a.told('evaluate'), b.told('evaluate')])
    for (let turn = 0; turn < 2; turn++) expect((await deliver('c', old, 8)).status).toBe(201)
    expect((await deliver('c', old, 9)).status).toBe(409)
    expect((await story.campaign()).current).toMatchObject({ round: 1, received: 2 })
    expect(await stateOf('c')).toMatchObject({ updateAccepted: false, countsNext: true })
    expect(await stateOf('a')).toMatchObject({ updateAccepted: true, countsNext: false })
    await evaluateAll(a, b)
    await done(1)
    await story.applyCampaign(plan({ round: 2 }))
    await until(async () => (await story.campaign()).current?.round === 2)
    expect((await story.campaign()).current).toMatchObject({ received: 1, wanted: 2 })
  })

  it('counts nobody twice: the second update of a node waits for the next round', async () => {
    const { a, b, c } = await firstRoundWithoutC()
    await story.applyCampaign(plan({ round: 2 }))
    await sent('c', c, 1, 8)
    await sent('c', c, 2, 16)
    expect((await story.campaign()).current).toMatchObject({ round: 2, received: 1 })
    await sent('a', a, 2, 4)
    await evaluateAll(a, c)
    const second = await done(2)
    await story.applyCampaign(plan({ round: 3 }))
    await until(async () => (await story.campaign()).current?.received === 1)
    expect(await stateOf('c')).toMatchObject({ round: 3, updateAccepted: true })
    await sent('b', b, 2, 2)
    await evaluateAll(b, c)
    const third = Math.fround((second[0] ?? 0) + (2 + 16) / Math.sqrt(2) / 2)
    expect(await done(3)).toEqual(Float32Array.of(third, third, third, third))
  })

  it('drops what is too stale, and has the node begin from the newest parameters', async () => {
    const { a, b, c } = await firstRoundWithoutC({ maxStaleness: 0 })
    await c.told('idle')
    const [old] = trainingsOf(c) as [TrainAssignment]
    expect(await stateOf('c')).toMatchObject({ trainsFrom: 0 })
    await story.applyCampaign(plan({ maxStaleness: 0, round: 2 }))
    await started(c, 2)
    const late = await deliver('c', old, 8)
    expect(late.status).toBe(410)
    expect(JSON.parse(late.body.toString())).toMatchObject({
      title: 'RoundClosed',
      detail:
        'no round up to 1, as many as maxStaleness 0 allows, takes an update of c that was trained from round 1',
    })
    await sent('a', a, 2, 4)
    await sent('b', b, 2, 4)
    await evaluateAll(a, b)
    expect(await done(2)).toEqual(Float32Array.of(6, 6, 6, 6))
  })

  it('takes what was trained from a round longer ago than rounds are kept without FedBuff', async () => {
    const [maxStaleness, rounds] = [12, 20]
    const { a, b, c } = await firstRoundWithoutC({ maxStaleness, rounds })
    for (let round = 2; round <= 12; round++) {
      await story.applyCampaign(plan({ maxStaleness, rounds, round }))
      await sent('a', a, round, 0)
      await sent('b', b, round, 0)
      await evaluateAll(a, b)
      await done(round)
    }
    await story.restart()
    await story.applyCampaign(plan({ maxStaleness, rounds, round: 13 }))
    const again = story.participant('c', 1)
    await sent('c', again, 1, 8)
    const also = story.participant('a')
    await sent('a', also, 13, 0)
    await evaluateAll(also, again)
    const merged = Math.fround(2 + 8 / Math.sqrt(13) / 2)
    expect(await done(13)).toEqual(Float32Array.of(merged, merged, merged, merged))
    c.cancel()
  }, 180_000)

  it('is the last one for everybody: no more training, and all evaluate', async () => {
    const { a, b, c } = await firstRoundWithoutC({ rounds: 2 })
    await story.applyCampaign(plan({ round: 2, rounds: 2 }))
    await sent('a', a, 2, 4)
    await a.idle('UpdateAccepted')
    await sent('b', b, 2, 4)
    await evaluateAll(a, b, c)
    await done(2)
    expect((await story.campaign()).current).toMatchObject({ evaluations: 3 })
  })

  it('does not wait for a node whose training failed, and asks it again in the next round', async () => {
    const { a, b, c } = await firstRoundWithoutC({ bufferSize: 2 })
    await story.applyCampaign(plan({ round: 2 }))
    await started(b, 2)
    c.send({ kind: { $case: 'failure', value: { round: 1, reason: 'TrainingDiverged', message: 'x' } } })
    await started(c, 2)
    c.send({ kind: { $case: 'failure', value: { round: 2, reason: 'TrainingDiverged', message: 'x' } } })
    await c.idle('FailedInThisRound')
    expect(await stateOf('c')).toMatchObject({ trainsFrom: 0, failureReason: 'TrainingDiverged' })
    await sent('a', a, 2, 4)
    await sent('b', b, 2, 4)
    await evaluateAll(a, b)
    await done(2)
  })
})

it('running state of a stale update cannot push a variance below zero', async () => {
  await story.end()
  const compile: ModelCompiler['compile'] = async (...given) => ({
    ...(await tinyCompiler.compile(...given)),
    trainableCount: 2,
    tensors: [true, false].map((trainable) => ({ shape: [2], trainable })),
  })
  story = await Story.begin({ compiler: { ...tinyCompiler, compile } })
  story.test.files.set(MODEL_URI, tinyModel(Float32Array.of(0, 0, 1, 1)))
  await story.modelReady()
  await story.applyCampaign(plan({}))
  const [a, b, c] = [story.participant('a'), story.participant('b'), story.participant('c')]
  const old = await started(c, 1)
  // All nodes find the variances 0.25 and 0.5.
  const found = [1, 1, -0.75, -0.5]
  await deliver('a', await started(a, 1), found)
  await deliver('b', await started(b, 1), found)
  await evaluateAll(a, b)
  expect(await done(1)).toEqual(Float32Array.of(1, 1, 0.25, 0.5))
  await story.applyCampaign(plan({ round: 2 }))
  await deliver('c', old, found)
  await deliver('a', await started(a, 2), [0, 0, 0, 0])
  await evaluateAll(a, c)
  const trained = Math.fround(1 + Math.SQRT1_2 / 2)
  expect(await done(2)).toEqual(Float32Array.of(trained, trained, 0.25, 0.5))
})

describe('a hub with FedBuff that is restarted', () => {
  it('gives a pod again what it trains, and a pod that trains nothing the newest', async () => {
    await firstRoundWithoutC()
    await story.restart()
    await story.applyCampaign(plan({ round: 2 }))
    const c = story.participant('c', 1)
    const old = await started(c, 1)
    await started(story.participant('a'), 2)
    c.cancel()
    await until(async () => (await stateOf('c'))?.connected === false)
    await started(story.participant('c'), 2)
    expect((await deliver('c', old, 8)).status).toBe(201)
  })

  it.each([
    { name: 'that it has not', round: 7 },
    { name: 'that the pod has delivered', round: 1 },
  ])('gives the newest to a pod that names a round $name', async ({ round }) => {
    await firstRoundWithoutC()
    await story.restart()
    await story.applyCampaign(plan({ round: 2 }))
    await started(story.participant('a', round), 2)
  })

  it('keeps a stale update with its bytes until it is merged, and takes the rest of one that had begun', async () => {
    const { c } = await firstRoundWithoutC()
    const spool = (node: string): string =>
      join(story.test.directory, 'campaigns', CAMPAIGN, 'rounds', '1', 'updates', node)
    const old = await started(c, 1)
    const bytes = floats(8, 8, 8, 8)
    const file = (node: string, content: Uint8Array): string =>
      join(spool(node), `${sha256(content).slice('sha256:'.length)}.update`)
    expect(existsSync(file('a', floats(1, 1, 1, 1)))).toBe(false)
    const facts = { campaign: CAMPAIGN, round: 1, participant: 'c', samples: 1, steps: 3, loss: 0.5 }
    const update = { ...facts, bytes, parameters: old.parameters?.digest ?? '' }
    expect(await patch(story.endpoint, update, { token: podToken('c'), to: 8 })).toMatchObject({
      status: 204,
    })
    await story.restart()
    await story.applyCampaign(plan({ round: 2 }))
    const rest = await patch(story.endpoint, update, { token: podToken('c'), from: 8 })
    expect(rest.status).toBe(201)
    await story.restart()
    const head = await http(story.endpoint, {
      method: 'HEAD',
      path: updatePath(CAMPAIGN, 1, 'c'),
      token: podToken('c'),
      headers: uploadHeaders(update),
    })
    expect(head.headers).toMatchObject({ 'upload-complete': '?1' })
    expect(existsSync(file('c', bytes))).toBe(true)
    const a = story.participant('a')
    await sent('a', a, 2, 4)
    await evaluateAll(a, story.participant('c'))
    await done(2)
    expect(existsSync(file('c', bytes))).toBe(false)
  })
})
