// Controllers below a controller: the hub knows the one of the city alone, which has a node of its own and a street with two more. The
// kinds plan one tier of controllers; what runs the tiers knows no such bound.
import { afterEach, describe, expect, it } from 'vitest'

import { expectClose, flatModel, modelAfter, SETTINGS } from './testing/flat-model.ts'
import { NODES } from './testing/local-campaign.ts'
import { Zones } from './testing/zones.ts'

const [A, B, C] = NODES

let zones: Zones
afterEach(async () => {
  await zones.end()
})

describe('a campaign in three tiers', { timeout: 120_000 }, () => {
  it('ends with the model of the same campaign without any, and each blob goes down each link once', async () => {
    const wanted = await flatModel(2)
    zones = await Zones.begin(SETTINGS)
    const { campaign } = zones
    const city = zones.zone('city', [C], { minimumUpdates: 3, deadlineSeconds: 50 })
    const street = zones.zone('street', [A, B], { parent: 'city', minimumUpdates: 2 })
    zones.planWith(city, street)
    await campaign.apply(campaign.planOf(1, { round: undefined }))
    await city.start()
    await street.launch()
    await zones.startPods(A, B, C)
    const found = await modelAfter(campaign, 2)
    // What the test itself fetched is left out.
    expect((await zones.sentByHub()) - found.byteLength).toBe(await city.cachedBytes())
    expect(await street.cachedBytes()).toBe(await city.cachedBytes())
    expectClose(found, wanted)
    const { history, tiers } = await campaign.state()
    expect(history).toMatchObject([{ received: 3 }, { received: 3 }])
    expect(tiers).toMatchObject([{ name: 'city', connected: true }, { name: 'street' }])
  })
})
