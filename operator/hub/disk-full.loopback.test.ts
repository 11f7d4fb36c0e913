// A hub on a disk that is really full. Nothing that was accepted is lost, the operator is told,
// and everything goes on by itself when there is room.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RoundState_Phase, type CampaignPlan } from '#federation/wire/generated/tributary.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import { SmallDisk } from '#federation/tier/testing/small-disk.ts'
import { http, patch, uploadHeaders, type Answer, type TestUpdate } from './testing/clients.ts'
import { updatePath } from '#federation/wire/names.ts'
import { podToken, tinyModel } from './testing/fakes.ts'
import { MODEL_URI } from './testing/harness.ts'
import { Story, until } from './testing/story.ts'

const MIB = 1024 * 1024
const VALUES = MIB / 4

let nowMs = 1_800_000_000_000
let disk: SmallDisk
let story: Story
beforeEach(async () => {
  disk = await SmallDisk.mount()
  story = await Story.begin({ directory: disk.path, clock: { now: () => nowMs } })
  story.test.files.set(MODEL_URI, tinyModel(new Float32Array(VALUES)))
  await story.modelReady()
})
afterEach(async () => {
  await story.end()
  await disk.unmount()
})

const plan = (minimumUpdates = 2): Partial<CampaignPlan> => {
  const { round } = campaignPlan()
  if (!round) throw new Error('unreachable')
  return { round: { ...round, minimumUpdates } }
}

async function updateOf(node: string, value: number): Promise<TestUpdate> {
  const bytes = new Uint8Array(new Float32Array(VALUES).fill(value).buffer)
  return story.updateOf(story.participant(node), node, bytes)
}

const send = (update: TestUpdate): Promise<Answer> =>
  patch(story.endpoint, update, { token: podToken(update.participant) })

const reason = async (): Promise<string> => (await story.campaign()).current?.reason ?? ''

async function merged(): Promise<Float32Array> {
  const { current } = await story.phase(RoundState_Phase.EVALUATING)
  const { body } = await story.blob(current?.parametersDigest ?? '')
  return new Float32Array(Uint8Array.from(body).buffer)
}

describe('a disk that is full', () => {
  it('takes no update, but records, and says what is free and needed until there is room', async () => {
    await story.applyCampaign(plan())
    const [a, b] = [await updateOf('a', 1), await updateOf('b', 3)]
    expect((await send(a)).status).toBe(201)
    await disk.leave(9.5 * MIB)
    const refused = await send(b)
    expect(refused).toMatchObject({ status: 507, headers: { 'retry-after': '5' } })
    const detail =
      'the disk has 9.5 MiB free; an update of 1.0 MiB must leave 9.0 MiB for records and merging'
    expect(JSON.parse(refused.body.toString())).toMatchObject({ title: 'DiskFull', detail })
    expect((await story.campaign()).current).toMatchObject({
      reason: 'DiskFull',
      message: detail,
      received: 1,
    })
    // Records go on: a plan, and a node that says that it cannot train.
    await story.applyCampaign({ ...plan(), evaluationDeadlineSeconds: 61 })
    expect(await reason()).toBe('DiskFull')
    await disk.makeRoom()
    await until(async () => (await reason()) === '')
    expect((await send(b)).status).toBe(201)
    expect(await merged()).toEqual(new Float32Array(VALUES).fill(2))
  })

  it('closes and merges a round with what updates may not take', async () => {
    await story.applyCampaign(plan(1))
    expect((await send(await updateOf('a', 1))).status).toBe(201)
    await disk.leave(9 * MIB)
    expect((await send(await updateOf('b', 3))).status).toBe(507)
    nowMs += 61_000
    await story.applyCampaign({ ...plan(1), evaluationDeadlineSeconds: 61 })
    expect(await merged()).toEqual(new Float32Array(VALUES).fill(1))
  })

  it('to the last byte keeps what was accepted, over a restart, and goes on by itself', async () => {
    await story.applyCampaign(plan(1))
    const a = await updateOf('a', 1)
    expect((await send(a)).status).toBe(201)
    await disk.leave(0)
    expect(await disk.freeBytes()).toBe(0)
    nowMs += 61_000
    await story.restart()
    // The plan cannot be written: the caller is told, and the hub goes on with the one that it has.
    await expect(story.applyCampaign({ ...plan(1), evaluationDeadlineSeconds: 61 })).rejects.toThrow(/full/)
    nowMs += 31_000
    // Whoever comes has the hub look at the clock.
    story.participant('a')
    await until(async () => (await reason()) === 'DiskFull')
    expect((await story.campaign()).current).toMatchObject({
      ...{ phase: RoundState_Phase.COLLECTING, received: 1 },
      message: 'the disk has 0.0 MiB free; records and merging take 9.0 MiB',
    })
    const asked = { path: updatePath(a.campaign, 1, 'a'), token: podToken('a'), headers: uploadHeaders(a) }
    expect((await http(story.endpoint, { method: 'HEAD', ...asked })).headers).toMatchObject({
      'upload-complete': '?1',
    })
    await disk.makeRoom()
    expect(await merged()).toEqual(new Float32Array(VALUES).fill(1))
    expect(await reason()).toBe('')
  })

  it('in the midst of a merge leaves nothing half-written, and the merge is made when there is room', async () => {
    await story.applyCampaign(plan(1))
    expect((await send(await updateOf('a', 1))).status).toBe(201)
    await disk.leave(0.5 * MIB)
    nowMs += 61_000
    await story.applyCampaign({ ...plan(1), evaluationDeadlineSeconds: 61 })
    await until(async () => (await reason()) === 'DiskFull')
    expect((await story.campaign()).current).toMatchObject({ phase: RoundState_Phase.MERGING, received: 1 })
    await disk.makeRoom()
    expect(await merged()).toEqual(new Float32Array(VALUES).fill(1))
  })
})
