// Training pods that know nothing but the hub's address, real edge controllers as programs of their own, and the hub, over TLS: the hub
// sends the pods to their controllers, a controller dies with what it has accepted, and the round ends with the very updates
// that were trained for it, each counted once. The pods' clocks run fast while a parent is silent.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { CampaignState, TierNode } from '#federation/wire/generated/tributary.ts'

import { LocalCampaign, NODES } from './testing/local-campaign.ts'
import { type Zone, Zones } from './testing/zones.ts'

const SETTINGS = {
  training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD', momentum: 0.9 }, batchSize: 8 },
  strategy: { type: 'FedAvg' },
} as const
const [A, B, C] = NODES
const PATIENCE = { timeout: 60_000 }

let zones: Zones
let east: Zone
let west: Zone

beforeEach(async () => {
  zones = await Zones.begin(SETTINGS)
  zones.campaign.clockSpeed = 50
  east = zones.zone('east', [A, B], { minimumUpdates: 2 })
  west = zones.zone('west', [C])
  await plan([east.node, west.node], false)
  await Promise.all([east.startProgram(), west.startProgram()])
})
afterEach(async () => {
  await zones.end()
})

async function plan(tiers: TierNode[], withRound = true): Promise<void> {
  const { campaign } = zones
  await campaign.apply(campaign.planOf(1, { tiers, ...(!withRound && { round: undefined }) }))
}

/** With the hub's address, as the operator starts it. */
async function startPods(...nodes: string[]): Promise<void> {
  const { campaign } = zones
  for (const node of nodes) {
    const hub = campaign.endpoint(await zones.podToken(node))
    campaign.startPod(node, campaign.stop.signal, hub).catch(() => undefined)
  }
}

async function received(tier: string): Promise<number | undefined> {
  return (await zones.campaign.state()).tiers.find(({ name }) => name === tier)?.received
}

async function roundDone(): Promise<CampaignState> {
  const done = async () => (await zones.campaign.state()).history[0]?.received
  await expect.poll(done, PATIENCE).toBe(NODES.length)
  return await zones.campaign.state()
}

/** Changes when the node writes the update of the first round anew. */
async function fileOfUpdate(node: string): Promise<number> {
  return (await stat(join(zones.campaign.workFolder(node), 'outbox', '1.update'))).ino
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
  const [found, wanted] = [
    await zones.campaign.parameters(history[0]?.parametersDigest ?? ''),
    await flatModel(),
  ]
  const largest = Math.max(...wanted.map(Math.abs))
  const distances = wanted.map((value, index) => Math.abs((found[index] ?? Number.NaN) - value))
  expect(Math.max(...distances)).toBeLessThanOrEqual(1e-6 * largest)
}

describe('training pods of a zone', () => {
  it('are sent to their edge controllers by the hub, and the round ends through these', async () => {
    await plan([east.node, west.node])
    await startPods(A, B, C)
    const state = await roundDone()
    await expectFlatModel(state)
    expect([await received('east'), await received('west')]).toEqual([2, 1])
  })

  it('give the hub what a lost controller had accepted, and train nothing twice', async () => {
    await plan([east.node, west.node])
    await startPods(A, C)
    await expect.poll(async () => await received('east'), PATIENCE).toBe(1)
    const trained = await fileOfUpdate(A)
    await east.kill()
    await plan([west.node])
    await startPods(B)
    await expectFlatModel(await roundDone())
    expect(await fileOfUpdate(A)).toBe(trained)
  })

  it('give the next controller what the lost one had accepted', async () => {
    await plan([east.node, west.node])
    await startPods(A, C)
    await expect.poll(async () => await received('east'), PATIENCE).toBe(1)
    const trained = await fileOfUpdate(A)
    await east.kill()
    const next = zones.zone('east', [A, B], { minimumUpdates: 2, epoch: 2, pod: 'pod-of-east-2' })
    await plan([next.node, west.node])
    await next.startProgram()
    await startPods(B)
    await expectFlatModel(await roundDone())
    expect(await fileOfUpdate(A)).toBe(trained)
    expect(await received('east')).toBe(2)
  })
})
