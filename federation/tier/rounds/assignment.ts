// What a training pod should do now: a pure function of its campaign. Sent again whenever its result changes.
import type { Assignment, CompiledGraphs, LocalTraining } from '#federation/wire/generated/tributary.ts'
import type { CheckedCampaignPlan } from '../plans.ts'
import type { StartRecord } from '../store/records.ts'
import { placeOf } from './acceptance.ts'
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'
import { belongingOf } from '../tiers/belonging.ts'
import { treeOf } from '../tiers/tree.ts'
import { settledRoundOf } from './settled.ts'
import { unfinishedTraining } from './unfinished.ts'

export function assignmentFor(campaign: Campaign, node: string): Assignment {
  return { ...workFor(campaign, node), settledRound: settledRoundOf(campaign) }
}

function workFor(campaign: Campaign, node: string): Assignment {
  const { plan, failure } = campaign
  if (plan.finished) return { kind: { $case: 'finished', value: { reason: plan.finishedReason } } }
  if (failure) return idle(failure.reason)
  return elsewhere(campaign, node) ?? roundFor(campaign, node)
}

/** For a node whose controller is there, or is awaited. */
function elsewhere({ plan, controllers }: Campaign, node: string): Assignment | undefined {
  const way = treeOf(plan).wayTo(node)
  const belonging = belongingOf(way, (tier) => controllers.introductionOf(tier))
  if (belonging.to === 'controller') return { kind: { $case: 'parent', value: belonging.parent } }
  return belonging.to === 'nobody' ? idle('WaitingForController') : undefined
}

function roundFor(campaign: Campaign, node: string): Assignment {
  const { plan, start, current } = campaign
  if (!start) return idle('CompilingTraining')
  if (!current) return idle('WaitingForRound')
  if (!current.closed && current.lacksEvaluationOf(node)) return evaluationFor(current, start, plan)
  if (current.attempt.pausedMs !== undefined) return idle('RoundPaused')
  const round = unfinishedTraining(campaign, node)
  if (round) return trainingFor(campaign, round, start)
  const reason = reasonNotToTrain(campaign, current, node)
  return reason === undefined ? trainingFor(campaign, current, start) : idle(reason)
}

function reasonNotToTrain(campaign: Campaign, current: Round, node: string): string | undefined {
  if (current.closed) return 'RoundDone'
  if (current.result) return 'EvaluationNotWanted'
  if (current.commit) return 'RoundMerging'
  if (current.isShort()) return 'RoundShort'
  if (!current.isChosen(node)) return 'NotInThisRound'
  if (current.updates.has(node) || standsIn(campaign, current, node)) return 'UpdateAccepted'
  if (current.failureOf(node)) return 'FailedInThisRound'
  return 'round' in placeOf(campaign, current, node) ? undefined : 'NoRoomForUpdate'
}

/** A late update that counts in this round is its node's part in it; with FedBuff the node trains on for the next one. */
function standsIn({ buffering, buffers }: Campaign, { number }: Round, node: string): boolean {
  return buffering?.bufferSize === undefined && buffers.of(number).has(node)
}

function trainingFor(campaign: Campaign, round: Round, start: StartRecord): Assignment {
  const value = {
    round: round.number,
    graphs: graphsOf(start),
    parameters: round.attempt.base,
    training: trainingOf(campaign.plan, round),
    deadlineUnixMs: campaign.deadlineOf(round),
    serverControl: campaign.strategy.sections.includes('control')
      ? round.attempt.state['control']
      : undefined,
    measureInitialLoss: campaign.strategy.needsInitialLoss,
    transfer: campaign.plan.training.transfer,
    delta: round.attempt.delta ?? campaign.rounds.get(round.number - 1)?.result?.delta,
  }
  return { kind: { $case: 'train', value } }
}

function evaluationFor(round: Round, start: StartRecord, plan: CheckedCampaignPlan): Assignment {
  const value = {
    round: round.number,
    graphs: graphsOf(start),
    parameters: round.result?.parameters,
    training: trainingOf(plan, round),
    deadlineUnixMs: round.result?.evaluationDeadlineMs ?? 0,
    delta: round.result?.delta,
  }
  return { kind: { $case: 'evaluate', value } }
}

function graphsOf(start: StartRecord): CompiledGraphs {
  return { ...start.graphs }
}

/** The learning rate is the round's: what the schedule made of it when the round was opened. */
function trainingOf(plan: CheckedCampaignPlan, { attempt: { learningRate } }: Round): LocalTraining {
  return { ...plan.training.local, learningRate }
}

function idle(reason: string): Assignment {
  return { kind: { $case: 'idle', value: { reason } } }
}
