// An edge controller on a disk that is really full. Its pods are told to come later, the hub is
// told why, nothing that was accepted is lost, and the round ends with the model of the same campaign without zones.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { SmallDisk } from '#federation/tier/testing/small-disk.ts'
import type { TierState } from '#federation/wire/generated/tributary.ts'
import { HubHttp, readProblem } from '#federation/wire/http.ts'
import { UPLOAD_HEADERS, updatePath } from '#federation/wire/names.ts'

import { expectClose, flatModel, SETTINGS } from './testing/flat-model.ts'
import { CAMPAIGN, NODES } from './testing/local-campaign.ts'
import { PATIENCE, type Zone, Zones } from './testing/zones.ts'

const [A, B, C] = NODES
const MIB = 1024 * 1024

let disk: SmallDisk
let zones: Zones
let east: Zone
beforeEach(async () => {
  disk = await SmallDisk.mount()
  zones = await Zones.begin(SETTINGS)
  east = zones.zone('east', [A, B], { minimumUpdates: 2 }, disk.path)
  const { campaign } = zones
  await campaign.apply(campaign.planOf(1, { round: undefined, tiers: [east.node] }))
})
afterEach(async () => {
  await zones.end()
  await disk.unmount()
})

async function begin(minimumUpdates: number): Promise<void> {
  const { campaign } = zones
  const tiers = [{ ...east.node, minimumUpdates }]
  await campaign.apply(campaign.planOf(1, { tiers }))
}

async function tier(): Promise<TierState | undefined> {
  return (await zones.campaign.state()).tiers[0]
}

const received = async (): Promise<number | undefined> => (await tier())?.received
const problem = async (): Promise<string | undefined> => (await tier())?.problemReason

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

async function expectFlatModel(): Promise<void> {
  await zones.roundDone()
  expectClose(await zones.model(), await flatModel())
}

describe('an edge controller whose disk is full', { timeout: 240_000 }, () => {
  it('takes no update, says so above and below, keeps what it has, and goes on when there is room', async () => {
    await east.start()
    await zones.startPods(A, C)
    await begin(2)
    await expect.poll(received, PATIENCE).toBe(1)
    await disk.leave(4 * MIB)
    // Before there is a pod that sends, too: of two requests for one update the newer one cuts the other.
    expect(await answerTo(B)).toEqual({ status: 507, retryAfter: '5', title: 'DiskFull' })
    await zones.startPods(B)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    expect(await tier()).toMatchObject({
      ...{ connected: true, received: 1 },
      problemMessage: expect.stringMatching(
        /^the disk has 4\.0 MiB free; an update of 0\.0 MiB must leave 8\.0 MiB for records and merging$/,
      ) as string,
    })
    await disk.makeRoom()
    await expectFlatModel()
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })

  it('to the last byte keeps what it has, over a kill, and sends it when there is room', async () => {
    await east.startProgram()
    await zones.startPods(A, C)
    await begin(2)
    await expect.poll(received, PATIENCE).toBe(1)
    await disk.leave(0)
    expect(await disk.freeBytes()).toBe(0)
    await east.kill()
    await east.startProgram()
    // Another quorum is a plan that cannot be written.
    await begin(1)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    expect(await tier()).toMatchObject({ connected: true, received: 1 })
    await disk.makeRoom()
    await zones.startPods(B)
    await expectFlatModel()
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })

  it('follows the plans that came meanwhile, the first one, too', async () => {
    await east.start()
    await disk.leave(0)
    await zones.startPods(A, B, C)
    await begin(2)
    await expect.poll(problem, PATIENCE).toBe('DiskFull')
    await disk.makeRoom()
    await expectFlatModel()
    expect(await tier()).toMatchObject({ received: 2, delivered: true, problemReason: '' })
  })
})
