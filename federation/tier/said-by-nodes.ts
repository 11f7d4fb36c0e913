// What training pods say of a round beside their updates, written down where it counts: themselves, or passed on by their edge
// controller. A repeat changes nothing.
import type { EvaluationResult, ParticipantFailure } from '../wire/generated/tributary.ts'
import { evaluationProblem } from './evaluation.ts'
import type { Campaign } from './rounds/campaign.ts'
import { unfinishedTraining } from './rounds/unfinished.ts'

const MAXIMUM_REASON = 64
const MAXIMUM_MESSAGE = 1024

export async function recordEvaluation(
  campaign: Campaign,
  node: string,
  result: EvaluationResult,
): Promise<void> {
  const { samples, metrics } = result
  const message = evaluationProblem(result)
  if (message !== undefined) {
    return recordFailure(campaign, node, { round: result.round, reason: 'EvaluationRefused', message })
  }
  await campaign.locked(async () => {
    const round = campaign.rounds.get(result.round)
    if (!round?.result || round.closed || round.result.parameters.digest !== result.parametersDigest) return
    if (!round.result.evaluators.includes(node) || round.evaluations.has(node)) return
    await round.addEvaluation({ participant: node, samples, metrics })
  })
  campaign.changed()
}

export async function recordFailure(
  campaign: Campaign,
  node: string,
  failure: ParticipantFailure,
): Promise<void> {
  await campaign.locked(async () => {
    const stale = unfinishedTraining(campaign, node)
    const round = failure.round === stale?.number ? stale : campaign.current
    // Otherwise a failure of an earlier round has no consequence any more; one before any round counts for the current one.
    if (!round || (failure.round !== 0 && failure.round !== round.number)) return
    if (round !== stale && round.closed) return
    const during = round !== stale && round.result ? 'evaluation' : 'training'
    if (round.failureOf(node)?.during === during) return
    await round.addFailure({
      participant: node,
      attempt: round.attempt.attempt,
      during,
      reason: failure.reason.slice(0, MAXIMUM_REASON),
      message: failure.message.slice(0, MAXIMUM_MESSAGE),
    })
  })
  campaign.changed()
}
