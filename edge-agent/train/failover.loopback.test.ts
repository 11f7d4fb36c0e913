// A training pod between the hub and edge controllers, over real TLS: it follows, it comes back, what it has begun goes on, and
// what one parent accepted is given to another as the very same bytes. The pod's clock runs a hundred times as fast.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Metadata, status } from '@grpc/grpc-js'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { Objective } from '#federation/training/index.ts'
import { EPOCH_FENCED, REASON_TRAILER, updatePath } from '#federation/wire/names.ts'
import { selfSignedCertificate } from '#federation/wire/testing/certificate.ts'

import { LOCAL, ScriptedCampaign, rowsAsCsv } from '../testing/campaign.ts'
import { runTraining } from './train.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000d'
const PATIENCE = { timeout: 20_000 }
const SPEED = 100
const log = pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' })

let hub: ScriptedCampaign
let controller: ScriptedCampaign
let folder: string
let stop: AbortController
let pods: Promise<unknown>[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'failover-'))
  await writeFile(join(folder, 'rows.csv'), rowsAsCsv(40))
  stop = new AbortController()
  pods = []
  await begin({ type: 'Plain' })
})

afterEach(async () => {
  await killPods()
  hub.hub.close()
  controller.hub.close()
  await rm(folder, { recursive: true })
})

async function begin(objective: Objective): Promise<void> {
  hub = await ScriptedCampaign.start(objective)
  controller = await startController(objective)
}

async function startController(objective: Objective = { type: 'Plain' }): Promise<ScriptedCampaign> {
  return await ScriptedCampaign.start(objective, undefined, await selfSignedCertificate())
}

function startPod(): void {
  const pod = runTraining({
    hub: hub.hub.endpoint,
    campaign: CAMPAIGN,
    node: 'edge-a',
    dataset: JSON.stringify({ path: join(folder, 'rows.csv'), labelColumns: ['target', 'other'] }),
    dataFolder: folder,
    workFolder: join(folder, 'work'),
    threadEntry: new URL('./thread.ts', import.meta.url),
    softwareVersion: '1.2.3',
    log,
    random: () => 0,
    now: () => performance.now() * SPEED,
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

async function accepted(by: ScriptedCampaign, round = 1): Promise<Buffer> {
  const upload = () => by.hub.uploads.get(updatePath(CAMPAIGN, round, 'edge-a'))
  await expect.poll(() => upload()?.accepted, PATIENCE).toBe(true)
  return upload()!.received
}

const said = (kind: Parameters<ScriptedCampaign['said']>[0]) => [...hub.said(kind), ...controller.said(kind)]
const unsettled = async () => (await readdir(join(folder, 'work', 'unsettled'))).sort()
const arrived = async (at: ScriptedCampaign, streams = 1) =>
  await expect.poll(() => at.said('hello').length, PATIENCE).toBe(streams)

describe('a training pod with an edge controller', () => {
  it('does everything there, once it was introduced', async () => {
    hub.introduce(controller)
    controller.assignTraining()
    startPod()
    const update = await accepted(controller)
    controller.assignEvaluation({ parameters: controller.hub.addBlob(update) })
    await expect.poll(() => controller.said('evaluation'), PATIENCE).toHaveLength(1)
    controller.finish()
    expect(await pods[0]).toBe('Completed')
    expect(hub.hub.requests).toEqual([])
    expect(hub.said('progress')).toEqual([])
    expect(controller.said('hello')).toEqual([{ campaign: CAMPAIGN, softwareVersion: '1.2.3', round: 0 }])
  })

  it('goes on with a training when its parents change, and asks nobody to wait for what is begun anew', async () => {
    const training = { ...LOCAL, epochs: 12_000, learningRate: 1e-6 }
    hub.assignTraining({ training })
    startPod()
    await expect.poll(() => hub.said('progress').length, PATIENCE).toBeGreaterThan(0)
    hub.introduce(controller)
    await arrived(controller)
    controller.assignTraining({ training, deadlineUnixMs: 5000 })
    await accepted(controller)
    const steps = said('progress').map((progress) => (progress as { steps: number }).steps)
    expect(controller.said('hello')).toMatchObject([{ round: 1 }])
    expect(steps.length).toBeGreaterThan(1)
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b))
  })

  it('sends nothing to a controller that does not know the round yet, and takes no verdict from it', async () => {
    controller.hub.verdict = { status: 404, title: 'UnknownRound', detail: 'no plan yet' }
    hub.assignTraining({ training: { ...LOCAL, epochs: 6_000, learningRate: 1e-6 } })
    startPod()
    await expect.poll(() => hub.said('progress').length, PATIENCE).toBeGreaterThan(0)
    hub.introduce(controller)
    const outbox = async () => await readdir(join(folder, 'work', 'outbox'))
    await expect.poll(outbox, PATIENCE).toContain('update.json')
    // Whatever would be sent was sent when the pod has come back.
    controller.hub.cutConnections()
    await arrived(controller, 2)
    controller.hub.verdict = undefined
    expect(controller.hub.requests).toEqual([])
    controller.assignTraining({ training: { ...LOCAL, epochs: 6_000, learningRate: 1e-6 } })
    await accepted(controller)
    expect(said('failure')).toEqual([])
  })

  it('comes back to the hub when the controller is silent, and gives it the very bytes that were accepted', async () => {
    hub.introduce(controller)
    controller.assignTraining()
    startPod()
    const update = await accepted(controller)
    controller.hub.close()
    hub.assignTraining({ deadlineUnixMs: 9000 })
    expect((await accepted(hub)).equals(update)).toBe(true)
    expect(hub.said('hello')).toHaveLength(2)
    expect(hub.said('progress')).toEqual([])
    const first = hub.hub.requests.find(({ path }) => path.includes('/updates/'))
    expect(first?.method).toBe('HEAD')
  })

  it('asks again, and sends no byte, when what the lost controller accepted counts already', async () => {
    hub.introduce(controller)
    controller.assignTraining()
    startPod()
    const update = await accepted(controller)
    hub.hub.uploads.set(updatePath(CAMPAIGN, 1, 'edge-a'), { received: update, accepted: true, headers: {} })
    controller.hub.close()
    hub.assignTraining()
    const asked = () => hub.hub.requests.map(({ method }) => method)
    await expect.poll(asked, PATIENCE).toEqual(['HEAD'])
    hub.assignEvaluation()
    await expect.poll(() => hub.said('evaluation'), PATIENCE).toHaveLength(1)
    expect(asked()).not.toContain('PATCH')
    expect(said('failure')).toEqual([])
  })

  it('gives the bytes to the next controller, also when the pod was killed in between', async () => {
    hub.introduce(controller)
    controller.assignTraining()
    startPod()
    const update = await accepted(controller)
    await killPods()
    controller.hub.close()
    const next = await startController()
    hub.introduce(next, 2)
    next.assignTraining()
    startPod()
    expect((await accepted(next)).equals(update)).toBe(true)
    expect(next.said('progress')).toEqual([])
    expect(next.said('hello')).toMatchObject([{ round: 1 }])
    next.hub.close()
  })

  it('goes to the hub at once when the controller says that it was replaced', async () => {
    hub.introduce(controller)
    const metadata = new Metadata()
    metadata.set(REASON_TRAILER, EPOCH_FENCED)
    controller.refusal = { code: status.FAILED_PRECONDITION, details: 'epoch 2 has taken over', metadata }
    startPod()
    await expect.poll(() => controller.streams, PATIENCE).toBe(1)
    hub.assignTraining()
    await accepted(hub)
    expect(controller.streams).toBe(1)
  })

  it('finds the controller again after a restart while the hub cannot be reached', async () => {
    hub.introduce(controller)
    startPod()
    await arrived(controller)
    await killPods()
    hub.hub.close()
    startPod()
    await arrived(controller, 2)
    controller.assignTraining()
    await accepted(controller)
  })
})

describe('an accepted update', () => {
  /** Two rounds at the controller; the first is not settled when the second is trained. */
  async function twoRounds(): Promise<[Buffer, Buffer]> {
    hub.introduce(controller)
    controller.assignTraining()
    startPod()
    const first = await accepted(controller)
    controller.assignTraining({ round: 2 })
    return [first, await accepted(controller, 2)]
  }

  it('is kept while its round is not settled, and sent again though another was trained since', async () => {
    const [first, second] = await twoRounds()
    expect(await unsettled()).toEqual(['1.json', '1.update'])
    controller.hub.close()
    hub.assignTraining()
    expect((await accepted(hub, 1)).equals(first)).toBe(true)
    hub.assignTraining({ round: 2 })
    expect((await accepted(hub, 2)).equals(second)).toBe(true)
    expect(hub.said('progress')).toEqual([])
  })

  it('goes once its round is settled', async () => {
    await twoRounds()
    expect(await unsettled()).toHaveLength(2)
    controller.assign({ kind: { $case: 'idle', value: { reason: 'RoundDone' } }, settledRound: 1 })
    await expect.poll(unsettled, PATIENCE).toEqual([])
  })

  it("moves the node's state once, whoever accepts it again", async () => {
    hub.hub.close()
    controller.hub.close()
    await begin({ type: 'FedDyn', alpha: 0.5 })
    const [, , calm] = [...(await twoRounds()), await thirdRound(controller)]
    await killPods()
    await rm(join(folder, 'work'), { recursive: true })
    hub.hub.uploads.clear()
    controller.hub.uploads.clear()
    await twoRounds()
    controller.hub.close()
    hub.assignTraining()
    await accepted(hub, 1)
    hub.assignTraining({ round: 2 })
    await accepted(hub, 2)
    expect((await thirdRound(hub)).equals(calm)).toBe(true)
  })

  async function thirdRound(at: ScriptedCampaign): Promise<Buffer> {
    at.assignTraining({ round: 3 })
    return await accepted(at, 3)
  }
})
