// A node that is slower than its zone's deadline: where late updates are carried over its edge controller takes the update all the same
// and hands it on, and the hub finds a place for it, once, also when the controller is killed in between.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { AttemptRecord } from '#federation/tier/store/records.ts'
import { digestOf } from '#federation/wire/digest.ts'
import { LateUpdates, type RoundPlan, type RoundState } from '#federation/wire/generated/tributary.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { type UploadOutcome, uploadUpdate } from '#federation/wire/upload.ts'

import { SETTINGS } from './testing/flat-model.ts'
import { CAMPAIGN, NODES } from './testing/local-campaign.ts'
import { PATIENCE, type Zone, Zones } from './testing/zones.ts'

const [FAST, SLOW, OTHER] = NODES

let folder: string
let zones: Zones
let east: Zone
let west: Zone

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zone-late-'))
})
afterEach(async () => {
  await zones.end()
  await rm(folder, { recursive: true, force: true })
})

async function plan(number: number, changes: Partial<RoundPlan> = {}): Promise<void> {
  const { campaign } = zones
  const planned = campaign.planOf(number, { tiers: [east.node, west.node] })
  const round = { ...planned.round!, minimumUpdates: 2, ...changes }
  // Nobody evaluates for the slow node either.
  await campaign.apply({ ...planned, round, evaluationDeadlineSeconds: 5 })
}

async function ended(number: number): Promise<RoundState> {
  const find = async (): Promise<RoundState | undefined> =>
    (await zones.campaign.state()).history.find(({ round }) => round === number)
  await expect.poll(find, PATIENCE).toBeDefined()
  return (await find())!
}

/** What the slow node trained from the first round, to its controller. */
async function bringLate(): Promise<UploadOutcome> {
  const record = join(zones.campaign.hub.directory, 'campaigns', CAMPAIGN, 'rounds', '1', 'plan.json')
  const { base } = AttemptRecord.parse(JSON.parse(await readFile(record, 'utf8')))
  const bytes = Buffer.from(new Float32Array(base.size / Float32Array.BYTES_PER_ELEMENT).fill(0.5).buffer)
  const path = join(folder, 'late.update')
  await writeFile(path, bytes)
  const http = new HubHttp(await east.endpointFor(SLOW))
  const facts = { samples: 10, steps: 3, loss: 0.5, parameters: base.digest }
  try {
    return await uploadUpdate(
      {
        campaign: CAMPAIGN,
        round: 1,
        participant: SLOW,
        digest: digestOf(bytes),
        size: bytes.length,
        path,
        ...facts,
      },
      { http, signal: AbortSignal.timeout(PATIENCE.timeout), random: Math.random },
    )
  } finally {
    http.destroy()
  }
}

describe('an update that comes when its zone’s part of the round is over', { timeout: 180_000 }, () => {
  it('counts in the next round where late updates are carried over, once, whoever was killed', async () => {
    zones = await Zones.begin({ ...SETTINGS, lateUpdates: LateUpdates.CARRY })
    // Long enough for the other two, whatever else the machine does; nobody speaks for the slow node.
    east = zones.zone('east', [FAST, SLOW], { minimumUpdates: 1, deadlineSeconds: 15 })
    west = zones.zone('west', [OTHER], { deadlineSeconds: 15 })
    await plan(1, { deadlineSeconds: 20 })
    await Promise.all([east.startProgram(), west.startProgram()])
    await zones.startPods(FAST, OTHER)
    expect(await ended(1)).toMatchObject({ received: 2 })
    expect(await bringLate()).toEqual({ kind: 'accepted' })
    await east.kill()
    await east.startProgram()
    await plan(2)
    expect(await ended(2)).toMatchObject({ received: 3, late: { counted: 1, dropped: 0 } })
    expect(await bringLate()).toEqual({ kind: 'accepted' })
    await plan(3, { participants: [FAST, OTHER] })
    expect(await ended(3)).toMatchObject({ received: 2, late: { counted: 0, dropped: 0 } })
  })
})
