// What a node keeps for itself follows what the hub accepted, and nothing else: not what was late or refused, and all that
// was accepted, even when the pod was killed before it heard of it. Seen in what the node then evaluates and sends.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { updatePath } from '#federation/wire/names.ts'

import { ScriptedCampaign, rowsAsCsv } from '../testing/campaign.ts'
import { runTraining } from './train.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000c'
const PATIENCE = { timeout: 20_000 }
const log = pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' })

let campaign: ScriptedCampaign
let folder: string
let stop: AbortController
let pods: Promise<unknown>[]

beforeEach(async () => {
  campaign = await ScriptedCampaign.start({ type: 'Plain' }, { type: 'LocalParameters', names: ['2.bias'] })
  folder = await mkdtemp(join(tmpdir(), 'acceptance-'))
  await writeFile(join(folder, 'rows.csv'), rowsAsCsv(40))
  stop = new AbortController()
  pods = []
})

afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await Promise.allSettled(pods)
  campaign.hub.close()
  await rm(folder, { recursive: true })
})

function startPod(): void {
  const pod = runTraining({
    hub: campaign.hub.endpoint,
    campaign: CAMPAIGN,
    node: 'edge-a',
    dataset: JSON.stringify({ path: join(folder, 'rows.csv'), labelColumns: ['target', 'other'] }),
    dataFolder: folder,
    workFolder: join(folder, 'work'),
    threadEntry: new URL('./thread.ts', import.meta.url),
    softwareVersion: '1.2.3',
    log,
    random: () => 0,
    signal: stop.signal,
  })
  pods.push(pod)
  pod.catch(() => {})
}

async function killPods(): Promise<void> {
  stop.abort(new Error('the pod is killed'))
  await Promise.allSettled(pods)
  stop = new AbortController()
}

/** As a node that never took part. */
async function forget(): Promise<void> {
  await killPods()
  await rm(join(folder, 'work'), { recursive: true, force: true })
  campaign.hub.uploads.clear()
  campaign.messages.length = 0
}

const upload = (round: number) => campaign.hub.uploads.get(updatePath(CAMPAIGN, round, 'edge-a'))

async function accepted(round: number): Promise<Buffer> {
  await expect.poll(() => upload(round)?.accepted, PATIENCE).toBe(true)
  return upload(round)!.received
}

/** What the node measures of the first parameters, with its own in their places. */
async function evaluated(): Promise<unknown> {
  campaign.messages.length = 0
  campaign.assignEvaluation()
  await expect.poll(() => campaign.said('evaluation'), PATIENCE).toHaveLength(1)
  return campaign.said('evaluation')[0]
}

async function answered(status: number): Promise<void> {
  if (status === 422) await expect.poll(() => campaign.said('failure'), PATIENCE).toHaveLength(1)
  const asked = () => campaign.hub.requests.some(({ method }) => method === 'PATCH')
  await expect.poll(asked, PATIENCE).toBe(true)
}

describe('what a node keeps for itself', () => {
  it('is what it evaluates with when it was killed before it heard that its update was accepted', async () => {
    startPod()
    const ofGlobal = await evaluated()
    campaign.assignTraining()
    await accepted(1)
    const ofItsOwn = await evaluated()
    expect(ofItsOwn).not.toEqual(ofGlobal)

    await forget()
    // Graphs and parameters arrive; so does the update, whose answer is cut, and nothing is answered after it.
    campaign.hub.faults = [
      ...new Array<object>(4).fill({}),
      { cutBeforeAnswer: true },
      ...new Array<object>(1000).fill({ status: 503 }),
    ]
    campaign.assignTraining()
    startPod()
    await accepted(1)
    await killPods()
    campaign.hub.faults = []
    campaign.assign({ kind: { $case: 'idle', value: { reason: 'WaitingForRound' } } })
    startPod()
    expect(await evaluated()).toEqual(ofItsOwn)
  })

  it.each([
    { name: 'late', status: 410, title: 'RoundClosed' },
    { name: 'refused', status: 422, title: 'UpdateRefused' },
  ])('stays what it was when its update is $name', async ({ status, title }) => {
    startPod()
    const ofGlobal = await evaluated()
    campaign.assignTraining({ round: 2 })
    const wanted = await accepted(2)

    await forget()
    campaign.hub.requests.length = 0
    campaign.hub.verdict = { status, title, detail: 'as the test wants' }
    campaign.assignTraining()
    startPod()
    await answered(status)
    campaign.hub.verdict = undefined
    expect(await evaluated()).toEqual(ofGlobal)
    campaign.assignTraining({ round: 2 })
    expect((await accepted(2)).equals(wanted)).toBe(true)
  })
})
