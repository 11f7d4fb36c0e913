// The plan that the hub gets: the same spec gives the same plan, so that handing it over again changes nothing.
import type { FederatedRoundSpec } from '#crds/federated-round.ts'
import { flat } from '#crds/members.ts'
import { readStrategyConfiguration } from '#federation/aggregation/configuration.ts'
import type {
  CampaignPlan,
  RoundPlan,
  RoundState,
  TierNode,
  TrainingPlan,
} from '#federation/wire/generated/tributary.ts'
import { HoldoutSplit, LateUpdates } from '#federation/wire/generated/tributary.ts'
import { parseQuantity } from '#operator/kube/quantity.ts'
import { localObjectiveOf } from '#federation/training/local-objective.ts'
import type { Observation } from './decision.ts'
import { podName } from './participants.ts'

export interface PlanParts {
  round: RoundPlan | undefined
  /** Nodes whose training pod may connect. */
  nodes: string[]
  /** Edge controllers. */
  tiers: TierNode[]
  /** Why the training pods may exit; absent while the campaign goes on. */
  finished?: string
  /** True while the edge controllers of a finished campaign are still of use. */
  controllersStay?: boolean
}

export function campaignPlan(seen: Observation, parts: PlanParts): CampaignPlan {
  const { round } = seen
  return {
    uid: round.uid,
    namespace: round.namespace,
    name: round.name,
    modelUid: seen.model?.uid ?? '',
    training: trainingPlan(round.spec),
    participants: parts.nodes.map((node) => ({ node, pod: podName(round, node) })),
    round: parts.round,
    finished: parts.finished !== undefined,
    finishedReason: parts.finished ?? '',
    controllersStay: parts.controllersStay ?? false,
    evaluationDeadlineSeconds: round.spec.evaluation.deadlineSeconds,
    tiers: parts.tiers,
    lateUpdates: LATE_UPDATES[round.spec.lateUpdates],
  }
}

const LATE_UPDATES = {
  Drop: LateUpdates.DROP,
  Carry: LateUpdates.CARRY,
  Discount: LateUpdates.DISCOUNT,
} as const satisfies Record<FederatedRoundSpec['lateUpdates'], LateUpdates>

/** The plan of a round that the hub already runs, as it was drawn. */
export function planOfRunning(seen: Observation, round: RoundState, pool: number): RoundPlan {
  return {
    round: round.round,
    attempt: round.attempt,
    participants: round.participants,
    minimumUpdates: round.minimumUpdates,
    deadlineSeconds: seen.round.spec.completion.deadlineSeconds,
    rounds: seen.round.spec.rounds,
    population: Math.max(pool, round.participants.length),
  }
}

/** Whether each round is a buffer that some of the asked nodes fill, and the others train on (FedBuff). */
export function isBuffered({ aggregation }: FederatedRoundSpec): boolean {
  return aggregation.strategy.type === 'FedBuff'
}

function trainingPlan(spec: FederatedRoundSpec): TrainingPlan {
  const { optimizer, epochs, seed, schedule } = spec.training
  const { upload, download } = spec.transfer
  return {
    training: JSON.stringify(trainingConfiguration(spec)),
    local: {
      epochs,
      learningRate: optimizer.learningRate,
      seed,
      holdoutFraction: spec.evaluation.holdoutFraction,
      holdoutSplit: spec.evaluation.split === 'Tail' ? HoldoutSplit.TAIL : HoldoutSplit.RANDOM,
    },
    schedule: JSON.stringify({ ...flat(schedule), warmupRounds: schedule.warmupRounds }),
    strategy: JSON.stringify(flat(spec.aggregation.strategy)),
    transfer: JSON.stringify({ upload: { ...upload, codec: flat(upload.codec) }, download }),
    ...(spec.personalization && { personalization: JSON.stringify(flat(spec.personalization)) }),
  }
}

/** The manifest's words for the compiler, which has the same defaults. */
function trainingConfiguration({ training, aggregation }: FederatedRoundSpec): object {
  const { loss, optimizer, batchSize, threads, gradientClipping, frozenParameters } = training
  const memoryLimit = parseQuantity(training.memoryLimit)
  return {
    loss: flat(loss),
    optimizer: flat(optimizer),
    batchSize,
    // A campaign that runs on one thread keeps the plan that it had before there was a choice.
    ...(threads > 1 && { threads }),
    objective: localObjectiveOf(readStrategyConfiguration(flat(aggregation.strategy))),
    ...(gradientClipping && { gradientClipping }),
    ...(frozenParameters && { frozen: frozenParameters }),
    ...(memoryLimit !== undefined && { memoryLimitBytes: Math.max(1, Math.floor(memoryLimit)) }),
  }
}
