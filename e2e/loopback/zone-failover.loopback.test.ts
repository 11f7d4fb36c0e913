// Training pods that know nothing but the hub's address, real edge controllers as programs of their own, and the hub, over TLS: the hub
// sends the pods to their controllers, a controller dies with what it has accepted, and the round ends with the very updates
// that were trained for it, each counted once. The pods' clocks run fast while a parent is silent.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { TierNode } from '#federation/wire/generated/tributary.ts'

import { expectClose, flatModel, SETTINGS } from './testing/flat-model.ts'
import { NODES } from './testing/local-campaign.ts'
import { PATIENCE, type Zone, Zones } from './testing/zones.ts'

const [A, B, C] = NODES

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

async function received(tier: string): Promise<number | undefined> {
  return (await zones.campaign.state()).tiers.find(({ name }) => name === tier)?.received
}

/** Changes when the node writes the update of the first round anew. */
async function fileOfUpdate(node: string): Promise<number> {
  return (await stat(join(zones.campaign.workFolder(node), 'outbox', '1.update'))).ino
}

async function expectFlatModel(): Promise<void> {
  await zones.roundDone()
  expectClose(await zones.model(), await flatModel())
}

describe('training pods of a zone', () => {
  it('are sent to their edge controllers by the hub, and the round ends through these', async () => {
    await plan([east.node, west.node])
    await zones.startPods(A, B, C)
    await expectFlatModel()
    expect([await received('east'), await received('west')]).toEqual([2, 1])
  })

  it('give the hub what a lost controller had accepted, and train nothing twice', async () => {
    await plan([east.node, west.node])
    await zones.startPods(A, C)
    await expect.poll(async () => await received('east'), PATIENCE).toBe(1)
    const trained = await fileOfUpdate(A)
    await east.kill()
    await plan([west.node])
    await zones.startPods(B)
    await expectFlatModel()
    expect(await fileOfUpdate(A)).toBe(trained)
  })

  it('give the next controller what the lost one had accepted', async () => {
    await plan([east.node, west.node])
    await zones.startPods(A, C)
    await expect.poll(async () => await received('east'), PATIENCE).toBe(1)
    const trained = await fileOfUpdate(A)
    await east.kill()
    const next = zones.zone('east', [A, B], { minimumUpdates: 2, epoch: 2, pod: 'pod-of-east-2' })
    await plan([next.node, west.node])
    await next.startProgram()
    await zones.startPods(B)
    await expectFlatModel()
    expect(await fileOfUpdate(A)).toBe(trained)
    expect(await received('east')).toBe(2)
  })
})
