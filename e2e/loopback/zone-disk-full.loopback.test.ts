// An edge controller on a disk that is really full: a file system of its own, of 16 MiB. Its pods are told to come later, the hub is
// told why, nothing that was accepted is lost, and the round ends with the model of the same campaign without zones.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { freeBytes } from '#federation/tier/store/room.ts'
import type { CampaignState, TierState } from '#federation/wire/generated/tributary.ts'
import { HubHttp, readProblem } from '#federation/wire/http.ts'
import { UPLOAD_HEADERS, updatePath } from '#federation/wire/names.ts'

import { CAMPAIGN, LocalCampaign, NODES } from './testing/local-campaign.ts'
import { type Zone, Zones } from './testing/zones.ts'

const SETTINGS = {
  training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD', momentum: 0.9 }, batchSize: 8 },
  strategy: { type: 'FedAvg' },
} as const
const [A, B, C] = NODES
const PATIENCE = { timeout: 60_000 }
const MIB = 1024 * 1024
const run = promisify(execFile)

let mounted: string
let zones: Zones
let east: Zone
beforeEach(async () => {
  if (process.getuid?.() !== 0) throw new Error('this test mounts a small file system: run it as root')
  mounted = await mkdtemp(join(tmpdir(), 'zone-full-'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mounted])
  zones = await Zones.begin(SETTINGS)
  east = zones.zone('east', [A, B], { minimumUpdates: 2 }, mounted)
  const { campaign } = zones
  await campaign.apply(campaign.planOf(1, { round: undefined, tiers: [east.node] }))
})
afterEach(async () => {
  await zones.end()
  await run('umount', [mounted])
  await rm(mounted, { recursive: true, force: true })
})

const ballast = (): string => join(mounted, 'of-others')

/** Somebody else takes all of the disk but so many bytes. */
async function leave(bytes: number): Promise<void> {
  await writeFile(ballast(), Buffer.alloc((await freeBytes(mounted)) - bytes)).catch((error: unknown) => {
    if (bytes > 0 || (error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  })
}

async function begin(minimumUpdates: number): Promise<void> {
  const { campaign } = zones
  const tiers = [{ ...east.node, minimumUpdates }]
  await campaign.apply(campaign.planOf(1, { tiers }))
}

async function startPods(...nodes: string[]): Promise<void> {
  const { campaign } = zones
  for (const node of nodes) {
    const hub = campaign.endpoint(await zones.podToken(node))
    campaign.startPod(node, campaign.stop.signal, hub).catch(() => undefined)
  }
}

async function tier(): Promise<TierState | undefined> {
  return (await zones.campaign.state()).tiers[0]
}

const received = async (): Promise<number | undefined> => (await tier())?.received
const problem = async (): Promise<string | undefined> => (await tier())?.problemReason

async function roundDone(): Promise<CampaignState> {
  const done = async () => (await zones.campaign.state()).history[0]?.received
  await expect.poll(done, PATIENCE).toBe(NODES.length)
  return await zones.campaign.state()
}

/** What the controller answers to the first byte of an update of this node. */
async function answerTo(node: string): Promise<{ status: number; retryAfter: unknown; title: string }> {
  const record = await readFile(join(east.folder, 'campaigns', CAMPAIGN, 'rounds', '1', 'plan.json'), 'utf8')
  const { base } = JSON.parse(record) as { base: { digest: string; size: number } }
  const http = new HubHttp(await east.endpointFor(node))
  try {
    const response = await http.send({
      ...{ method: 'PATCH', path: updatePath(CAMPAIGN, 1, node), signal: zones.campaign.stop.signal },
      headers: {
        [UPLOAD_HEADERS.offset]: '0',
        [UPLOAD_HEADERS.length]: String(base.size),
        [UPLOAD_HEADERS.digest]: `sha256:${'0'.repeat(64)}`,
        [UPLOAD_HEADERS.samples]: '1',
        [UPLOAD_HEADERS.steps]: '1',
        [UPLOAD_HEADERS.loss]: '1',
        [UPLOAD_HEADERS.parameters]: base.digest,
        'content-length': '0',
      },
    })
    const retryAfter = response.headers['retry-after']
    return { status: response.statusCode ?? 0, retryAfter, title: (await readProblem(response)).title }
  } finally {
    http.destroy()
  }
}

async function flatModel(): Promise<Float32Array> {
  const campaign = await LocalCampaign.begin(SETTINGS)
  try {
    for (const node of NODES) campaign.startPod(node).catch(() => undefined)
    const { current } = await campaign.finishRound(1)
    return await campaign.parameters(current?.parametersDigest ?? '')
  } finally {
    await campaign.end()
  }
}

/** Within 1e-6 of the largest value of what the campaign without zones merges. */
async function expectFlatModel({ history }: CampaignState): Promise<void> {
  const found = await zones.campaign.parameters(history[0]?.parametersDigest ?? '')
  const wanted = await flatModel()
  const largest = Math.max(...wanted.map(Math.abs))
  const distances = wanted.map((value, index) => Math.abs((found[index] ?? Number.NaN) - value))
  expect(Math.max(...distances)).toBeLessThanOrEqual(1e-6 * largest)
}

describe('an edge controller whose disk is full', { timeout: 240_000 }, () => {
  it('takes no update, says so above and below, keeps what it has, and goes on when there is room', async () => {
    await east.start()
    await startPods(A, C)
    await begin(2)
    await expect.poll(received, PATIENCE).toBe(1)
    await leave(4 * MIB)
    await startPods(B)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    expect(await tier()).toMatchObject({
      ...{ connected: true, received: 1 },
      problemMessage: expect.stringMatching(
        /^the disk has 4\.0 MiB free; an update of 0\.0 MiB must leave 8\.0 MiB for records and merging$/,
      ) as string,
    })
    expect(await answerTo(B)).toEqual({ status: 507, retryAfter: '5', title: 'DiskFull' })
    await rm(ballast())
    await expectFlatModel(await roundDone())
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })

  it('to the last byte keeps what it has, over a kill, and sends it when there is room', async () => {
    await east.startProgram()
    await startPods(A, C)
    await begin(2)
    await expect.poll(received, PATIENCE).toBe(1)
    await leave(0)
    expect(await freeBytes(mounted)).toBe(0)
    await east.kill()
    await east.startProgram()
    // Another quorum is a plan that cannot be written.
    await begin(1)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    expect(await tier()).toMatchObject({ connected: true, received: 1 })
    await rm(ballast())
    await startPods(B)
    await expectFlatModel(await roundDone())
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })

  it('follows the plans that came meanwhile, the first one, too', async () => {
    await east.start()
    await leave(0)
    await startPods(A, B, C)
    await begin(2)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    await rm(ballast())
    await expectFlatModel(await roundDone())
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })
})
