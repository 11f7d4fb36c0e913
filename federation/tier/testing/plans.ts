// A campaign to tell stories with, as the operator plans it.
import {
  HoldoutSplit,
  LateUpdates,
  type CampaignPlan,
  type TierNode,
} from '#federation/wire/generated/tributary.ts'

export const CAMPAIGN = 'f0000000-0000-4000-8000-000000000001'
export const MODEL = 'e0000000-0000-4000-8000-000000000001'

export function campaignPlan(changes: Partial<CampaignPlan> = {}): CampaignPlan {
  const local = {
    epochs: 1,
    learningRate: 0.1,
    seed: 1,
    holdoutFraction: 0.2,
    holdoutSplit: HoldoutSplit.TAIL,
  }
  const training = { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, batchSize: 8 }
  return {
    uid: CAMPAIGN,
    namespace: 'city',
    name: 'traffic-1',
    modelUid: MODEL,
    training: {
      training: JSON.stringify(training),
      local,
      schedule: '{"type":"Constant"}',
      strategy: '{"type":"FedAvg"}',
      transfer: '{}',
    },
    participants: ['a', 'b'].map((node) => ({ node, pod: `pod-${node}` })),
    round: {
      round: 1,
      attempt: 1,
      participants: ['a', 'b'],
      minimumUpdates: 2,
      deadlineSeconds: 60,
      rounds: 3,
      population: 2,
    },
    finished: false,
    finishedReason: '',
    controllersStay: false,
    evaluationDeadlineSeconds: 60,
    tiers: [],
    lateUpdates: LateUpdates.DROP,
    ...changes,
  }
}

/** An edge controller directly below the hub, in its first epoch. */
export function tierNode(name: string, nodes: readonly string[]): TierNode {
  return {
    name,
    parent: '',
    node: nodes[0] ?? '',
    pod: `pod-of-${name}-1`,
    epoch: 1,
    nodes: [...nodes],
    minimumUpdates: 1,
    deadlineSeconds: 30,
    replacedWhenLost: true,
  }
}
