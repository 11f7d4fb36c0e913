// What a campaign in zones is held against: the same campaign without zones.
import { expect } from 'vitest'

import { relativeDistance } from '#e2e/faults/tiers/distance.ts'

import { type CampaignSettings, LocalCampaign, NODES } from './local-campaign.ts'

export const SETTINGS: CampaignSettings = {
  training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD', momentum: 0.9 }, batchSize: 8 },
  strategy: { type: 'FedAvg' },
}

export async function flatModel(rounds = 1): Promise<Float32Array> {
  const campaign = await LocalCampaign.begin(SETTINGS)
  try {
    for (const node of NODES) campaign.startPod(node).catch(() => undefined)
    return await modelAfter(campaign, rounds)
  } finally {
    await campaign.end()
  }
}

export async function modelAfter(campaign: LocalCampaign, rounds: number): Promise<Float32Array> {
  let digest = ''
  for (let round = 1; round <= rounds; round++) {
    digest = (await campaign.finishRound(round)).current?.parametersDigest ?? ''
  }
  return await campaign.parameters(digest)
}

/** Within 1e-6 of the largest value: each round trains on from what the rounding of the round before left. */
export function expectClose(found: Float32Array, wanted: Float32Array): void {
  expect(found).toHaveLength(wanted.length)
  expect(relativeDistance(wanted, found)).toBeLessThanOrEqual(1e-6)
}
