// Campaigns over real TLS: plan, train, merge, evaluate, publish; and what happens when somebody does not, or when the hub
// restarts between two steps.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeUpdate } from '#federation/tensors/codec.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import { verifyManifest } from '#federation/artefact/manifest.ts'
import { Change_Kind, RoundState_Phase, type Change } from '#federation/wire/generated/tributary.ts'
import { bearer, call, floats, patch } from './testing/clients.ts'
import { agentToken, operatorToken, podToken, tinyModel } from './testing/fakes.ts'
import { CAMPAIGN, campaignPlan, MODEL } from '#federation/tier/testing/plans.ts'
import { Story, until } from './testing/story.ts'

let story: Story
beforeEach(async () => {
  story = await Story.begin()
})
afterEach(async () => story.end())

async function sendBoth(): Promise<void> {
  const [a, b] = [story.participant('a'), story.participant('b')]
  const updates = [
    await story.updateOf(a, 'a', floats(1, 1, 1, 1), 1),
    await story.updateOf(b, 'b', floats(4, 4, 4, 4), 2),
  ]
  for (const update of updates) {
    const answer = await patch(story.endpoint, update, { token: podToken(update.participant) })
    expect(answer.status).toBe(201)
  }
  await Promise.all([story.evaluate(a, 10, { loss: 1 }), story.evaluate(b, 30, { loss: 2 })])
}

describe('a campaign', () => {
  it('goes from plan to published version', async () => {
    await story.modelReady()
    await story.applyCampaign()
    await sendBoth()
    const { current, history, publishedRound } = await story.phase(RoundState_Phase.DONE)
    expect(publishedRound).toBe(0)
    expect(current).toMatchObject({
      received: 2,
      wanted: 2,
      samples: 3,
      metrics: { loss: 1.75 },
      trainingLoss: 0.5,
    })
    expect(history).toHaveLength(1)
    expect((await story.blob(current?.parametersDigest ?? '')).body).toEqual(floats(3, 3, 3, 3))

    const { desired, stream } = story.follow('a')
    await until(() => desired.at(-1)?.models[0]?.version === 1)
    expect(await story.publish(1)).toMatchObject({
      version: 2,
      participants: 2,
      samples: 3,
      metrics: { loss: 1.75 },
    })
    expect(await story.publish(1)).toMatchObject({ version: 2 })
    await until(() => desired.at(-1)?.models[0]?.version === 2)

    expect(await story.campaign()).toMatchObject({ modelUid: MODEL, publishedRound: 1, publishedVersion: 2 })

    const envelope = await story.blob(desired.at(-1)?.models[0]?.manifest?.digest ?? '', agentToken('a'))
    const manifest = verifyManifest(envelope.body, [story.test.verificationKey])
    expect(manifest).toMatchObject({
      namespace: 'city',
      name: 'traffic',
      version: 2,
      campaign: CAMPAIGN,
      round: 1,
    })
    const file = await story.blob(manifest.model.digest, agentToken('a'))
    expect(file.body).toEqual(tinyModel(Float32Array.of(3, 3, 3, 3)))
    const { versions } = await story.model()
    expect(versions.map(({ version, parentDigest }) => [version, parentDigest])).toEqual([
      [2, versions[1]?.digest],
      [1, ''],
    ])
    stream.cancel()
  })

  it('tells pods that it is finished, with the reason', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const a = story.participant('a')
    await a.told('train')
    await story.applyCampaign({ finished: true, finishedReason: 'Completed' })
    expect((await a.told('finished')).reason).toBe('Completed')
  })

  it('goes on with the next round from the merged parameters, and adds what was learned to them', async () => {
    await story.modelReady()
    await story.applyCampaign()
    await sendBoth()
    const { current } = await story.phase(RoundState_Phase.DONE)
    const round = {
      round: 2,
      attempt: 1,
      participants: ['a'],
      minimumUpdates: 1,
      deadlineSeconds: 60,
      rounds: 3,
      population: 2,
    }
    await story.applyCampaign({ round })
    const a = story.participant('a')
    const { parameters } = await a.told('train', 2)
    expect(parameters?.digest).toBe(current?.parametersDigest)
    const update = await story.updateOf(a, 'a', floats(0.5, -1, 0, 2))
    expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
    const { current: second } = await story.phase(RoundState_Phase.EVALUATING)
    expect((await story.blob(second?.parametersDigest ?? '')).body).toEqual(floats(3.5, 2, 3, 5))
  })

  it('ends short below quorum, keeps what was accepted, and completes in a further attempt', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const [a, b] = [story.participant('a'), story.participant('b')]
    const update = await story.updateOf(a, 'a', floats(2, 2, 2, 2))
    await patch(story.endpoint, update, { token: podToken('a') })
    const { round } = await b.told('train')
    const failure = { round, reason: 'DatasetUnreadable', message: 'no such file' }
    b.send({ kind: { $case: 'failure', value: failure } })
    const short = await story.phase(RoundState_Phase.SHORT)
    expect(short.current).toMatchObject({ received: 1, wanted: 2 })
    expect(short.participants[1]).toMatchObject({ node: 'b', failureReason: 'DatasetUnreadable' })

    const again = {
      round: 1,
      attempt: 2,
      participants: ['b'],
      minimumUpdates: 2,
      deadlineSeconds: 60,
      rounds: 3,
      population: 2,
    }
    await story.applyCampaign({ round: again })
    const second = await story.updateOf(b, 'b', floats(4, 4, 4, 4))
    expect((await patch(story.endpoint, second, { token: podToken('b') })).status).toBe(201)
    await story.evaluate(b, 1, { loss: 1 })
    const done = await story.phase(RoundState_Phase.DONE)
    expect((await story.blob(done.current?.parametersDigest ?? '')).body).toEqual(floats(3, 3, 3, 3))
  })

  it('takes an evaluation that makes no sense for a failure of its participant', async () => {
    await story.modelReady()
    await story.applyCampaign({
      round: {
        round: 1,
        attempt: 1,
        participants: ['a'],
        minimumUpdates: 1,
        deadlineSeconds: 60,
        rounds: 3,
        population: 2,
      },
    })
    const a = story.participant('a')
    const update = await story.updateOf(a, 'a', floats(2, 2, 2, 2))
    await patch(story.endpoint, update, { token: podToken('a') })
    await story.evaluate(a, 1, { loss: 1e308 })
    const done = await story.phase(RoundState_Phase.DONE)
    expect(done.current).toMatchObject({ evaluations: 0, metrics: {} })
    expect(done.participants[0]).toMatchObject({ node: 'a', failureReason: 'EvaluationRefused' })
    expect(done.participants[0]?.failureMessage).toContain('metric loss is 1e+308')
  })

  it('pauses when the plan wants no round, and resumes where it was', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const a = story.participant('a')
    await a.told('train')
    await story.applyCampaign({ round: undefined })
    await a.idle('RoundPaused')
    await story.applyCampaign()
    expect((await a.told('train')).round).toBe(1)
  })

  it('says why it cannot start when the model does not compile for this training', async () => {
    await story.modelReady()
    const { training } = campaignPlan()
    if (!training) throw new Error('unreachable')
    const settings = { loss: { type: 'Huber' }, optimizer: { type: 'SGD' }, batchSize: 8 }
    await story.applyCampaign({ training: { ...training, training: JSON.stringify(settings) } })
    await until(async () => (await story.campaign()).failureReason !== '')
    await story.restart()
    expect(await story.campaign()).toMatchObject({
      failureReason: 'TrainingNotPossible',
      failureMessage: 'this loss is impossible',
    })
  })

  it('fails when what is merged is not a number any more, and does not try for ever', async () => {
    await story.modelReady()
    const alone = {
      attempt: 1,
      participants: ['a'],
      minimumUpdates: 1,
      deadlineSeconds: 60,
      rounds: 3,
      population: 2,
    }
    await story.applyCampaign({ round: { round: 1, ...alone } })
    const a = story.participant('a')
    for (const round of [1, 2]) {
      await story.applyCampaign({ round: { round, ...alone } })
      await a.told('train', round)
      const update = await story.updateOf(a, 'a', floats(3e38, 0, 0, 0))
      expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
      if (round === 1) await story.evaluate(a, 1, { loss: 1 })
      if (round === 1) await story.phase(RoundState_Phase.DONE)
    }
    await until(async () => (await story.campaign()).failureReason !== '')
    expect(await story.campaign()).toMatchObject({
      failureReason: 'MergeDiverged',
      failureMessage: expect.stringContaining('value 0 of the merged parameters') as string,
    })
    await a.idle('MergeDiverged')
  })

  it('merges by the strategy of its plan, which is refused when its quorum is too low for that strategy', async () => {
    await story.modelReady()
    const { training } = campaignPlan()
    if (!training) throw new Error('unreachable')
    const strategy = JSON.stringify({ type: 'TrimmedMean', trimmed: 1 })
    const nodes = ['a', 'b', 'c', 'd']
    const round = { round: 1, attempt: 1, minimumUpdates: 3, deadlineSeconds: 60, rounds: 3, population: 4 }
    const participants = nodes.map((node) => ({ node, pod: `pod-${node}` }))
    const plan = {
      training: { ...training, strategy },
      participants,
      round: { ...round, participants: nodes },
    }
    await expect(
      story.applyCampaign({ ...plan, round: { ...plan.round, minimumUpdates: 2 } }),
    ).rejects.toMatchObject({ details: expect.stringContaining('needs at least 3 updates') as string })
    await story.applyCampaign(plan)
    for (const [index, node] of nodes.slice(0, 3).entries()) {
      const update = await story.updateOf(story.participant(node), node, floats(index, 1, 2, 3))
      expect((await patch(story.endpoint, update, { token: podToken(node) })).status).toBe(201)
    }
    const d = story.participant('d')
    await d.told('train')
    d.send({ kind: { $case: 'failure', value: { round: 1, reason: 'DatasetUnreadable', message: '' } } })
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    expect((await story.blob(current?.parametersDigest ?? '')).body).toEqual(floats(1, 1, 2, 3))
  })

  it('takes an encoded update only when it can be read, and merges what it decodes to', async () => {
    await story.modelReady()
    const { training } = campaignPlan()
    if (!training) throw new Error('unreachable')
    const transfer = JSON.stringify({ upload: { codec: { type: 'Float16' } } })
    const alone = { round: 1, attempt: 1, participants: ['a'], minimumUpdates: 1, deadlineSeconds: 60 }
    const round = { ...alone, rounds: 3, population: 2 }
    await story.applyCampaign({ training: { ...training, transfer }, round })
    const a = story.participant('a')
    const layout = updateLayout([{ shape: [4], trainable: true }])
    const good = encodeUpdate(Float32Array.of(1, 0.5, -2, 0), layout, { type: 'Float16' }, 0)
    const damaged = good.map((_byte) => 0xff)
    const wrong = await story.updateOf(a, 'a', damaged)
    const refusal = await patch(story.endpoint, wrong, { token: podToken('a') })
    expect([refusal.status, refusal.body.toString()]).toEqual([422, expect.stringContaining('UpdateRefused')])
    const update = await story.updateOf(a, 'a', good)
    expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    expect((await story.blob(current?.parametersDigest ?? '')).body).toEqual(floats(1, 0.5, -2, 0))
  })

  it('leaves nothing behind when it is deleted', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const a = story.participant('a')
    const { parameters } = await a.told('train')
    const remove = story.clients.control.deleteCampaign.bind(story.clients.control)
    await call(remove, { uid: CAMPAIGN }, operatorToken)
    expect((await story.campaign()).known).toBe(false)
    expect((await story.blob(parameters?.digest ?? '')).status).toBe(404)
    expect(await a.told('finished')).toEqual({ reason: 'CampaignDeleted' })
    a.cancel()
    await a.ended
    await call(remove, { uid: CAMPAIGN }, operatorToken)
  })

  it('is told to the operator when it changes, and only then', async () => {
    const changes: Change[] = []
    const watch = story.clients.control.watch({}, bearer(operatorToken))
    watch.on('data', (change: Change) => changes.push(change))
    watch.on('error', () => undefined)
    await story.modelReady()
    await until(() => changes.some(({ kind, uid }) => kind === Change_Kind.MODEL && uid === MODEL))
    await story.applyCampaign()
    await until(() => changes.some(({ kind, uid }) => kind === Change_Kind.CAMPAIGN && uid === CAMPAIGN))
    await until(async () => (await story.campaign()).current !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const toldSoFar = changes.length
    await story.applyCampaign()
    await story.applyModel()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(changes).toHaveLength(toldSoFar)
    watch.cancel()
    const late: Change[] = []
    const second = story.clients.control.watch({}, bearer(operatorToken))
    second.on('data', (change: Change) => late.push(change))
    second.on('error', () => undefined)
    await until(() => late.length === 2)
    second.cancel()
  })
})

describe('a restart', () => {
  it('goes on from what was accepted, in every phase', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const update = await story.updateOf(story.participant('a'), 'a', floats(1, 1, 1, 1), 1)
    expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
    await story.restart()
    expect((await story.campaign()).current).toMatchObject({
      phase: RoundState_Phase.COLLECTING,
      received: 1,
    })
    expect((await patch(story.endpoint, update, { token: podToken('a') })).status).toBe(201)
    const b = story.participant('b')
    const other = await story.updateOf(b, 'b', floats(4, 4, 4, 4), 2)
    expect((await patch(story.endpoint, other, { token: podToken('b') })).status).toBe(201)
    await story.phase(RoundState_Phase.EVALUATING)
    await story.restart()
    await story.evaluate(story.participant('b'), 1, { loss: 1 })
    const a = story.participant('a')
    await story.evaluate(a, 1, { loss: 3 })
    const { current } = await story.phase(RoundState_Phase.DONE)
    expect(current?.metrics).toEqual({ loss: 2 })
    await story.restart()
    expect(await story.publish(1)).toMatchObject({ version: 2 })
    await story.restart()
    expect((await story.model()).versions).toHaveLength(2)
  })
})

describe('a node called like a temporary file', () => {
  it('loses nothing at a restart', async () => {
    await story.modelReady()
    await story.applyCampaign({
      participants: ['b', 'edge.tmp'].map((node) => ({ node, pod: `pod-${node}` })),
      round: {
        round: 1,
        attempt: 1,
        participants: ['b', 'edge.tmp'],
        minimumUpdates: 2,
        deadlineSeconds: 60,
        rounds: 3,
        population: 2,
      },
    })
    const update = await story.updateOf(story.participant('edge.tmp'), 'edge.tmp', floats(1, 1, 1, 1))
    expect((await patch(story.endpoint, update, { token: podToken('edge.tmp') })).status).toBe(201)
    await story.restart()
    expect((await story.campaign()).current).toMatchObject({ received: 1 })
  })
})
