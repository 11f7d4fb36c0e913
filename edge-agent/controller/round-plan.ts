// What an edge controller makes of its parent's plan: which round it opens and with whom, and what becomes of the rounds before. Pure.
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import type { AttemptRecord, ResultRecord, StartRecord } from '#federation/tier/store/records.ts'
import type {
  CampaignStart,
  CompiledGraphs,
  MergedRound,
  RoundBasis,
  RoundPlan,
  TierPlan,
} from '#federation/wire/generated/tributary.ts'

/** Throws, naming what is missing, when the parent left out what every campaign has. */
export function startRecordOf(start: CampaignStart): StartRecord {
  return {
    baseVersion: start.baseVersion,
    baseDigest: start.baseDigest,
    graphs: graphsOf(start.graphs),
    parameters: given(start.parameters, 'start.parameters'),
    trainableCount: start.trainableCount,
    tensors: start.tensors.map(({ dimensions, trainable }) => ({ shape: dimensions, trainable })),
    localRanges: start.localRanges.map(({ start: first, end }) => ({ start: first, end })),
  }
}

function graphsOf(graphs: CompiledGraphs | undefined): StartRecord['graphs'] {
  const { manifest, trainingStep, evaluation, personalManifest, personalTrainingStep } = given(
    graphs,
    'start.graphs',
  )
  return {
    manifest: given(manifest, 'start.graphs.manifest'),
    trainingStep: given(trainingStep, 'start.graphs.training_step'),
    evaluation: given(evaluation, 'start.graphs.evaluation'),
    ...(personalManifest && { personalManifest }),
    ...(personalTrainingStep && { personalTrainingStep }),
  }
}

function given<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new Error(`the parent's plan has no ${field}`)
  return value
}

/**
 * The round or attempt that the parent wants now, without those whose update for it counts already, through whomever it came;
 * when more of them do later, the same attempt with fewer participants. Undefined when nothing changes.
 */
export function attemptOf(
  tier: TierPlan | undefined,
  { plan, start, current }: Pick<Campaign, 'plan' | 'start' | 'current'>,
  nowMs: number,
): AttemptRecord | undefined {
  const wanted = plan.round
  const basis = tier?.basis
  if (!wanted || !start || plan.finished || basis?.round !== wanted.round) return undefined
  const known = knownOf(current, wanted.round)
  if (known === 'over') return undefined
  const asked = askedFor(wanted, new Set(basis.counted), known)
  if (known && wanted.attempt <= known.attempt.attempt) {
    const fewer = asked.participants.length < known.attempt.participants.length
    return fewer && known.isCollecting() ? { ...known.attempt, ...asked } : undefined
  }
  return openedAttempt(wanted, basis, { ...asked, nowMs })
}

/** The round of this number where there is one; `over` when it, or a later one, takes no attempt any more. */
function knownOf(current: Round | undefined, wanted: number): Round | undefined | 'over' {
  if (!current || current.number < wanted) return undefined
  return current.number > wanted || current.commit || current.result ? 'over' : current
}

type Asked = Pick<AttemptRecord, 'participants' | 'minimumUpdates'>

function askedFor(
  { participants, minimumUpdates }: Asked,
  counted: ReadonlySet<string>,
  known: Round | undefined,
): Asked {
  const left = participants.filter((node) => !counted.has(node) || known?.updates.has(node))
  return {
    participants: left,
    minimumUpdates: Math.max(1, minimumUpdates - (participants.length - left.length)),
  }
}

function openedAttempt(
  { round, attempt, deadlineSeconds }: RoundPlan,
  { parameters, learningRate, population, delta }: RoundBasis,
  { nowMs, ...asked }: Asked & { nowMs: number },
): AttemptRecord {
  return {
    ...{ round, attempt, ...asked, state: {}, learningRate, population },
    ...{ openedMs: nowMs, deadlineMs: nowMs + deadlineSeconds * 1000 },
    base: given(parameters, 'basis.parameters'),
    ...(delta?.blob && { delta: { baseDigest: delta.baseDigest, blob: delta.blob } }),
  }
}

/** Stands for a round that this controller did not collect, but whose merged parameters its pods evaluate. */
export function evaluatedOnly({ round, parameters }: MergedRound, nowMs: number): AttemptRecord | undefined {
  if (!parameters) return undefined
  return {
    ...{ round, attempt: 1, participants: [], minimumUpdates: 1, openedMs: nowMs, deadlineMs: nowMs },
    ...{ base: parameters, state: {}, learningRate: 1, population: 1 },
  }
}

export function resultOf(merged: MergedRound, mergedMs: number): ResultRecord | undefined {
  const { parameters, delta, evaluationDeadlineUnixMs: evaluationDeadlineMs, evaluators } = merged
  if (!parameters) return undefined
  return {
    ...{ parameters, state: {}, mergedMs, evaluationDeadlineMs, evaluators },
    ...(delta?.blob && { delta: { baseDigest: delta.baseDigest, blob: delta.blob } }),
  }
}

/** What a round of which the tier above takes no more becomes: what was accepted is handed on all the same, late as it may be. */
export function endOfOvertaken(
  round: Pick<Round, 'updates' | 'isCollecting'>,
): 'commit' | 'short' | undefined {
  if (!round.isCollecting()) return undefined
  return round.updates.size > 0 ? 'commit' : 'short'
}
