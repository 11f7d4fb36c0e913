// A campaign in zones on one machine: the real hub, real edge controllers, and real training pods below them, over TLS. What comes of
// it must be what comes of the same campaign without zones.
import { readdir } from 'node:fs/promises'

import { afterEach, describe, expect, it } from 'vitest'

import { expectClose, flatModel, modelAfter, SETTINGS } from './testing/flat-model.ts'
import { NODES } from './testing/local-campaign.ts'
import { PATIENCE, type Zone, Zones } from './testing/zones.ts'

const [A, B, C] = NODES

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Tiered {
  readonly zones: Zones
  readonly east: Zone
  readonly west: Zone
}

/** Two zones, connected, with a plan that names them. */
async function tiered(
  start: (zone: Zone) => Promise<unknown> = async (zone) => await zone.start(),
): Promise<Tiered> {
  const zones = await Zones.begin(SETTINGS)
  ends.push(async () => await zones.end())
  const [east, west] = [zones.zone('east', [A, B], { minimumUpdates: 2 }), zones.zone('west', [C])]
  const { campaign } = zones
  zones.planWith(east, west)
  await campaign.apply(campaign.planOf(1, { round: undefined }))
  await Promise.all([start(east), start(west)])
  return { zones, east, west }
}

async function startPods(all: Tiered): Promise<void> {
  await startPod(all, A, all.east)
  await startPod(all, B, all.east)
  await startPod(all, C, all.west)
}

interface StartedPod {
  /** The reason that it was given, or that it has. */
  readonly ended: Promise<string>
}

async function startPod(
  { zones }: Tiered,
  node: string,
  zone: Zone,
  signal?: AbortSignal,
): Promise<StartedPod> {
  const { campaign } = zones
  const endpoint = await zone.endpointFor(node)
  return { ended: campaign.startPod(node, signal ?? campaign.stop.signal, endpoint).catch(String) }
}

async function receivedBy({ zones }: Tiered, tier: string): Promise<number | undefined> {
  const { tiers } = await zones.campaign.state()
  return tiers.find(({ name }) => name === tier)?.received
}

// Each case runs a campaign twice, or programs that are killed and started again.
describe('a campaign in zones', { timeout: 240_000 }, () => {
  it('ends with the model of the same campaign without zones, and each blob goes to a zone once', async () => {
    const wanted = await flatModel(3)
    const all = await tiered()
    await startPods(all)
    const found = await modelAfter(all.zones.campaign, 3)
    // What the test itself fetched is left out.
    const sent = (await all.zones.sentByHub()) - found.byteLength
    expectClose(found, wanted)
    expect(sent).toBe((await all.east.cachedBytes()) + (await all.west.cachedBytes()))
    expect(await all.zones.campaign.state()).toMatchObject({
      history: [{ received: 3 }, { received: 3 }, { received: 3 }],
      tiers: [{ name: 'east', connected: true }, { name: 'west' }],
    })
  })

  it('leaves nothing on its nodes when it is deleted in the middle of a round', async () => {
    const all = await tiered(async (zone) => await zone.startProgram())
    const { campaign } = all.zones
    // The zone's quorum is two: its update waits at the controller.
    const pods = [await startPod(all, A, all.east), await startPod(all, C, all.west)]
    await campaign.apply(campaign.planOf(1))
    await expect.poll(async () => await receivedBy(all, 'east'), PATIENCE).toBe(1)
    await campaign.delete()
    for (const pod of pods) expect(await pod.ended).toBe('CampaignDeleted')
    for (const zone of [all.east, all.west]) {
      expect(await zone.exited).toBe(0)
      expect(await readdir(zone.folder)).toEqual(['lock'])
    }
  })

  it('goes on when a controller is killed in the middle of a round and comes back on its folder', async () => {
    const wanted = await flatModel(1)
    const all = await tiered(async (zone) => await zone.startProgram())
    const { zones, east, west } = all
    const { campaign } = zones
    const introduced = await east.introduction()
    await startPod(all, A, east)
    await campaign.apply(campaign.planOf(1))
    await expect.poll(async () => await receivedBy(all, 'east'), PATIENCE).toBe(1)
    await east.kill()
    await east.startProgram()
    expect(await east.introduction()).toEqual(introduced)
    expect(await receivedBy(all, 'east')).toBe(1)
    await startPod(all, B, east)
    await startPod(all, C, west)
    const found = await modelAfter(campaign, 1)
    expectClose(found, wanted)
    expect(await campaign.state()).toMatchObject({ history: [{ received: 3 }] })
  })

  it('counts once what a controller has sent whose pods go to the hub, and takes the rest from there', async () => {
    const wanted = await flatModel(1)
    const all = await tiered(async (zone) => await zone.startProgram())
    const { zones, east, west } = all
    const { campaign } = zones
    await campaign.apply(campaign.planOf(1))
    const pods = new AbortController()
    await startPod(all, A, east, pods.signal)
    await startPod(all, C, west)
    await expect.poll(async () => await receivedBy(all, 'east'), PATIENCE).toBe(1)
    await expect.poll(async () => (await campaign.state()).current?.received, PATIENCE).toBe(1)
    await east.kill()
    pods.abort(new Error('the pod is stopped'))
    // As the manifest may say: nobody takes its place, and its nodes belong to the hub.
    await campaign.apply(campaign.planOf(1, { tiers: [west.node] }))
    for (const node of [A, B]) {
      const token = await zones.podToken(node)
      campaign.startPod(node, campaign.stop.signal, campaign.endpoint(token)).catch(() => undefined)
    }
    const done = async () => (await campaign.state()).history[0]?.received
    await expect.poll(done, PATIENCE).toBe(3)
    const state = await campaign.state()
    expectClose(await campaign.parameters(state.history[0]?.parametersDigest ?? ''), wanted)
  })

  it('has a controller stop for good that another one has replaced', async () => {
    const { zones, east, west } = await tiered()
    const later = { ...east.node, epoch: 2, pod: 'pod-of-east-2' }
    await zones.campaign.apply(zones.campaign.planOf(1, { round: undefined, tiers: [later, west.node] }))
    expect(await east.ended).toContain('another controller has taken over')
  })

  it('has a controller tell its pods of the end, and stop for good when it is of no more use', async () => {
    const { zones, east } = await tiered()
    const { campaign } = zones
    const over = { round: undefined, finished: true, finishedReason: 'RoundsDone' }
    const pod = campaign.startPod(A, campaign.stop.signal, await east.endpointFor(A))
    await campaign.apply(campaign.planOf(1, { ...over, controllersStay: true }))
    expect(await Promise.race([pod, east.ended])).toBe('RoundsDone')
    expect((await campaign.state()).tiers[0]).toMatchObject({ name: 'east', connected: true })
    await campaign.apply(campaign.planOf(1, over))
    expect(await east.ended).toBe('the campaign is over')
  })
})
