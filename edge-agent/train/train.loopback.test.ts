// A training pod against a scripted hub: what it says and sends, over a link that breaks.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { updateLayout } from '#federation/tensors/layout.ts'
import { encodeParameterDelta } from '#federation/tensors/parameter-delta.ts'
import { blobPath, updatePath } from '#federation/wire/names.ts'
import { Pacer } from '#federation/wire/pacer.ts'

import { LOCAL, ScriptedCampaign, rowsAsCsv } from '../testing/campaign.ts'
import { runTraining } from './train.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000b'
const log = pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' })

let campaign: ScriptedCampaign
let folder: string
let stop: AbortController
let pods: Promise<unknown>[]

beforeEach(async () => {
  campaign = await ScriptedCampaign.start()
  folder = await mkdtemp(join(tmpdir(), 'train-'))
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

interface Changes {
  readonly dataset?: string
  readonly random?: () => number
  readonly bytesPerSecond?: number
}

async function startPod(changes: Changes = {}): Promise<string> {
  const pod = runTraining({
    hub: campaign.hub.endpoint,
    campaign: CAMPAIGN,
    node: 'edge-a',
    dataset: changes.dataset ?? datasetOf('rows.csv'),
    bytesPerSecond: changes.bytesPerSecond,
    dataFolder: folder,
    workFolder: join(folder, 'work'),
    threadEntry: new URL('./thread.ts', import.meta.url),
    softwareVersion: '1.2.3',
    log,
    random: changes.random ?? (() => 0),
    signal: stop.signal,
  })
  pods.push(pod)
  return await pod
}

function datasetOf(file: string, labelColumns = ['target', 'other']): string {
  return JSON.stringify({ path: join(folder, file), labelColumns })
}

function upload(round = 1) {
  return campaign.hub.uploads.get(updatePath(CAMPAIGN, round, 'edge-a'))
}

describe('a training pod', () => {
  it('says hello, trains, sends, evaluates and goes', async () => {
    campaign.assignTraining()
    const pod = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    expect(campaign.said('hello')).toEqual([{ campaign: CAMPAIGN, softwareVersion: '1.2.3', round: 0 }])
    expect(campaign.said('progress').at(-1)).toMatchObject({ round: 1, steps: 8, totalSteps: 8 })
    const sent = upload()!
    expect(sent.headers).toMatchObject({
      'update-samples': '30',
      'update-parameters': campaign.train.parameters?.digest,
    })

    campaign.assignEvaluation({ parameters: campaign.hub.addBlob(sent.received) })
    await expect.poll(() => campaign.said('evaluation'), { timeout: 20_000 }).toHaveLength(1)
    expect(campaign.said('evaluation')[0]).toMatchObject({
      round: 1,
      samples: 10,
      metrics: { loss: expect.any(Number) as number },
    })
    campaign.finish()
    expect(await pod).toBe('Completed')
    expect(campaign.said('failure')).toEqual([])
  })

  it('keeps its transfers to the share of the link that it is told', async () => {
    const waitMs = vi.spyOn(Pacer.prototype, 'waitMs')
    campaign.assignTraining()
    startPod({ bytesPerSecond: 1_000_000 }).catch(() => undefined)
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    const fetched = campaign.hub.requests.filter(({ method }) => method === 'GET')
    expect([...new Set(fetched.map(({ limit }) => limit))]).toEqual(['1000000'])
    expect(waitMs.mock.calls.map(([bytes]) => bytes)).toEqual([upload()?.received.length])
    waitMs.mockRestore()
  })

  it.each([
    { name: 'makes parameters from those it has and a delta', spoil: (bytes: Uint8Array) => bytes, full: 0 },
    {
      name: 'fetches all parameters when the delta is damaged',
      spoil: (bytes: Uint8Array) => bytes.subarray(0, 40),
      full: 1,
    },
  ])('$name', async ({ spoil, full }) => {
    campaign.assignTraining()
    const pod = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    const base = new Float32Array(campaign.compiled.initialParameters.slice().buffer)
    const next = base.map((value, index) => value + Math.fround(0.01 * Math.sin(index)))
    const parameters = campaign.hub.addBlob(new Uint8Array(next.buffer))
    const bytes = encodeParameterDelta(base, next, updateLayout(campaign.compiled.manifest.parameters))
    const blob = campaign.hub.addBlob(spoil(bytes))
    campaign.assignEvaluation({ parameters, delta: { baseDigest: campaign.train.parameters!.digest, blob } })
    await expect.poll(() => campaign.said('evaluation'), { timeout: 20_000 }).toHaveLength(1)
    expect(campaign.said('evaluation')[0]).toMatchObject({ parametersDigest: parameters.digest })
    const fetched = campaign.hub.requests.filter(({ path }) => path === blobPath(parameters.digest))
    expect(fetched).toHaveLength(full)
    campaign.finish()
    await pod
  })

  it('comes back after every cut of its stream, and answers an assignment that is said again', async () => {
    campaign.assignEvaluation()
    const pod = startPod()
    await expect.poll(() => campaign.said('evaluation').length, { timeout: 20_000 }).toBe(1)
    for (const count of [2, 3, 4]) {
      campaign.hub.cutConnections()
      await expect.poll(() => campaign.said('evaluation').length, { timeout: 20_000 }).toBe(count)
    }
    expect(campaign.streams).toBe(4)
    expect(campaign.said('hello')).toEqual(
      Array.from({ length: 4 }, () => ({ campaign: CAMPAIGN, softwareVersion: '1.2.3', round: 0 })),
    )
    campaign.finish()
    expect(await pod).toBe('Completed')
  })

  it('gets its blobs and its update through a link that breaks', async () => {
    campaign.hub.faults = [100, 0, 2000, 50, 1].map((cut) => ({
      cutResponseAfter: cut,
      cutRequestAfter: cut,
    }))
    campaign.assignTraining()
    const pod = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 40_000 }).toBe(true)
    campaign.finish()
    await pod
  })

  it('trains the same bits again, in another pod with another work folder', async () => {
    campaign.assignTraining()
    const first = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    const bytes = upload()!.received
    campaign.finish()
    await first
    await rm(join(folder, 'work'), { recursive: true })
    campaign.hub.uploads.clear()
    campaign.assignTraining()
    const second = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    expect(upload()!.received.equals(bytes)).toBe(true)
    campaign.finish()
    await second
  })

  it('says that it has a finished update after a restart, sends it and does not train it again', async () => {
    campaign.assignTraining()
    campaign.hub.faults = Array.from({ length: 10_000 }, () => ({})).map((fault, index) =>
      index < 4 ? fault : { status: 503 },
    )
    const first = startPod()
    await expect
      .poll(() => campaign.hub.requests.some(({ method }) => method === 'PATCH'), { timeout: 20_000 })
      .toBe(true)
    stop.abort(new Error('the pod is killed'))
    await expect(first).rejects.toThrow('the pod is killed')

    stop = new AbortController()
    campaign.hub.faults = []
    campaign.messages.length = 0
    const second = startPod()
    await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    expect(campaign.said('progress')).toEqual([])
    expect(campaign.said('hello')[0]).toMatchObject({ round: 1 })
    campaign.finish()
    await second
  })

  it('goes on from the state of an update that was accepted without its hearing of it', async () => {
    campaign.hub.close()
    campaign = await ScriptedCampaign.start({ type: 'FedDyn', alpha: 0.5 })
    const runTwoRounds = async (disturb: () => Promise<void>): Promise<Buffer> => {
      campaign.assignTraining()
      await disturb()
      campaign.assignTraining({ round: 2 })
      await expect.poll(() => upload(2)?.accepted, { timeout: 20_000 }).toBe(true)
      return upload(2)!.received
    }
    const accepted = async () => await expect.poll(() => upload()?.accepted, { timeout: 20_000 }).toBe(true)
    const calm = startPod()
    const wanted = await runTwoRounds(accepted)
    campaign.finish()
    await calm

    await rm(join(folder, 'work'), { recursive: true })
    campaign.hub.uploads.clear()
    // Everything after the update's bytes is cut: the hub has accepted, and nobody hears of it.
    campaign.hub.faults = [
      ...new Array<object>(5).fill({}),
      ...new Array<object>(9).fill({ cutBeforeAnswer: true }),
    ]
    campaign.assign({ kind: { $case: 'idle', value: { reason: 'WaitingForRound' } } })
    const first = startPod()
    const got = await runTwoRounds(async () => {
      await accepted()
      stop.abort(new Error('the pod is killed'))
      await expect(first).rejects.toThrow('the pod is killed')
      stop = new AbortController()
      campaign.hub.faults = []
      startPod().catch(() => {})
    })
    expect(got.equals(wanted)).toBe(true)
    campaign.finish()
  })

  it('gives up a round for a newer one', async () => {
    campaign.assignTraining({ training: { ...LOCAL, epochs: 1_000_000 } })
    const pod = startPod()
    await expect.poll(() => campaign.said('progress').length, { timeout: 20_000 }).toBeGreaterThan(0)
    campaign.assignTraining({ round: 2 })
    await expect.poll(() => upload(2)?.accepted, { timeout: 20_000 }).toBe(true)
    expect(upload(1)).toBeUndefined()
    campaign.finish()
    await pod
  })

  it.each([
    {
      name: 'a data set that is not there',
      dataset: () => datasetOf('none.csv'),
      want: { reason: 'DatasetUnreadable', message: expect.stringContaining('none.csv') as string },
    },
    {
      name: 'a data set of another width',
      dataset: () => datasetOf('rows.csv', ['target']),
      want: { reason: 'DatasetMismatch', message: expect.stringContaining('needs 4') as string },
    },
    {
      name: 'a data set outside of the data folder',
      dataset: () => JSON.stringify({ path: '/etc/passwd.csv', labelColumns: ['y'] }),
      want: { reason: 'DatasetUnreadable', message: expect.stringContaining('is not in') as string },
    },
    {
      name: 'a configuration that is not JSON',
      dataset: () => 'rows.csv',
      want: {
        reason: 'DatasetUnreadable',
        message: expect.stringContaining('expected a JSON object') as string,
      },
    },
  ])('tells the hub of $name', async ({ dataset, want }) => {
    campaign.assignTraining()
    const pod = startPod({ dataset: dataset() })
    await expect.poll(() => campaign.said('failure'), { timeout: 20_000 }).toEqual([{ round: 1, ...want }])
    campaign.finish()
    await pod
  })

  it.each([
    {
      name: 'training that diverges',
      change: () => ({ training: { ...LOCAL, learningRate: 1e30 } }),
      reason: 'TrainingDiverged',
    },
    {
      name: 'parameters of another length',
      change: () => ({ parameters: campaign.hub.addBlob(Buffer.alloc(8)) }),
      reason: 'GraphsUnusable',
    },
    {
      name: 'a graph that is none',
      change: () => ({
        graphs: { ...campaign.train.graphs!, trainingStep: campaign.hub.addBlob(Buffer.from('no graph')) },
      }),
      reason: 'GraphsUnusable',
    },
    {
      name: 'a blob that the hub does not have',
      change: () => ({ parameters: { digest: `sha256:${'0'.repeat(64)}`, size: 4 } }),
      reason: 'BlobRefused',
    },
  ])('tells the hub of $name', async ({ change, reason }) => {
    campaign.assignTraining(change())
    const pod = startPod()
    await expect
      .poll(() => campaign.said('failure'), { timeout: 20_000 })
      .toMatchObject([{ round: 1, reason }])
    campaign.finish()
    await pod
  })

  it('tells the hub of a refused update, once', async () => {
    campaign.hub.verdict = { status: 422, title: 'UpdateRefused', detail: 'element 3 is not finite' }
    campaign.assignTraining()
    const pod = startPod()
    const want = { round: 1, reason: 'UpdateRefused', message: 'UpdateRefused: element 3 is not finite' }
    await expect.poll(() => campaign.said('failure'), { timeout: 20_000 }).toEqual([want])
    campaign.finish()
    await pod
  })

  it('says nothing of an update that comes late', async () => {
    campaign.hub.verdict = { status: 410, title: 'RoundClosed', detail: 'round 1 is over' }
    campaign.assignTraining()
    const pod = startPod()
    await expect
      .poll(() => campaign.hub.requests.some(({ method }) => method === 'PATCH'), { timeout: 20_000 })
      .toBe(true)
    campaign.finish()
    await pod
    expect(campaign.said('failure')).toEqual([])
  })

  it('keeps no state of updates that came late', async () => {
    campaign.hub.close()
    campaign = await ScriptedCampaign.start({ type: 'FedDyn', alpha: 0.5 })
    campaign.hub.verdict = { status: 410, title: 'RoundClosed', detail: 'the round is over' }
    const sentIn = (round: number): boolean =>
      campaign.hub.requests.some(
        ({ method, path }) => method === 'PATCH' && path === updatePath(CAMPAIGN, round, 'edge-a'),
      )
    const pod = startPod()
    for (const round of [1, 2]) {
      campaign.assignTraining({ round })
      await expect.poll(() => sentIn(round), { timeout: 20_000 }).toBe(true)
    }
    campaign.finish()
    await pod
    // That of round 2, which might have been accepted; not that of round 1 beside it.
    expect(await readdir(join(folder, 'work', 'state'))).toHaveLength(1)
  })
})
