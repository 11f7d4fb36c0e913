import { describe, expect, it } from 'vitest'
import { pino } from 'pino'
import { CampaignPlan } from '#federation/wire/generated/tributary.ts'
import type { KubeClient } from './kube/api.ts'
import { dropOrphan, orphanKey } from './orphans.ts'
import { ScriptedHub } from './testing/scripted-hub.ts'

const campaign = { namespace: 'city', name: 'traffic', uid: 'uid-1' }
const log = pino({ level: 'silent' })

/** What the API server has under the campaign's name. */
const apiServer = (answer: () => unknown): KubeClient =>
  ({ get: async () => Promise.resolve(answer()) }) as never

async function hubWithCampaign(): Promise<ScriptedHub> {
  const hub = new ScriptedHub()
  await hub.applyCampaign(CampaignPlan.fromPartial(campaign))
  return hub
}

describe('a campaign that the operator does not know is', () => {
  it.each([
    { name: 'dropped when there is no FederatedRound of its name', found: undefined, kept: false },
    { name: 'dropped when that is another one', found: { metadata: { uid: 'uid-2' } }, kept: false },
    { name: 'left alone when it is there after all', found: { metadata: { uid: 'uid-1' } }, kept: true },
  ])('$name', async ({ found, kept }) => {
    const hub = await hubWithCampaign()
    await dropOrphan({ client: apiServer(() => found), hub, log }, orphanKey(campaign))
    expect(hub.campaigns.has('uid-1')).toBe(kept)
  })

  it('left alone when the API server does not answer: it is tried again', async () => {
    const hub = await hubWithCampaign()
    const client = apiServer(() => {
      throw new Error('no answer')
    })
    await expect(dropOrphan({ client, hub, log }, orphanKey(campaign))).rejects.toThrow('no answer')
    expect(hub.campaigns.has('uid-1')).toBe(true)
  })
})
