// Checks of what the operator plans: every field that decides something is checked where it enters, and refused with
// its name, its value and what would be right. UIDs and node names become names of files, so they are held to the
// characters that Kubernetes allows them.
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { StrategyConfiguration } from '../aggregation/configuration.ts'
import { problemWithCount } from '../aggregation/preconditions.ts'
import { strategyOf } from '../aggregation/strategies.ts'
import { TransferConfiguration } from '../tensors/configuration.ts'
import { TrainingConfiguration } from '../training/configuration.ts'
import { Personalization } from '../training/personalization.ts'
import { LearningRateSchedule } from '../training/schedule.ts'
import { HoldoutSplit, LateUpdates, type CampaignPlan, type ModelPlan } from '../wire/generated/tributary.ts'
import { localObjectiveOf } from '../training/local-objective.ts'
import { TierError } from './serving/errors.ts'
import { MOST_TIERS, TierNode, tierProblems } from './tiers/tier-nodes.ts'
import { name, seconds, uid } from './plan-fields.ts'

const positiveInt = z.int().min(1)

const MAXIMUM_CONFIGURATION = 64 * 1024

/**
 * A configuration in a plan: JSON that its own schema reads. Kept in one spelling, defaults filled in, so that plans
 * which mean the same are the same.
 */
function configuration(schema: z.ZodType): z.ZodType<string, string> {
  return z
    .string()
    .max(MAXIMUM_CONFIGURATION)
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        context.addIssue({ code: 'custom', message: 'is not JSON' })
        return z.NEVER
      }
    })
    .pipe(schema)
    .transform((value) => JSON.stringify(value))
}

const LocalTraining = z.object({
  epochs: positiveInt,
  learningRate: z.number().gt(0),
  seed: z.int().min(0),
  holdoutFraction: z.number().min(0).lt(1),
  holdoutSplit: z.enum([HoldoutSplit.UNSPECIFIED, HoldoutSplit.TAIL, HoldoutSplit.RANDOM]),
})

const TrainingPlan = z
  .object({
    training: configuration(TrainingConfiguration),
    local: LocalTraining,
    schedule: configuration(LearningRateSchedule),
    strategy: configuration(StrategyConfiguration),
    transfer: configuration(TransferConfiguration),
    personalization: configuration(Personalization).optional(),
  })
  .superRefine((plan, context) => {
    const { objective } = trainingOf(plan)
    const wanted = localObjectiveOf(strategyConfigurationOf(plan))
    if (isDeepStrictEqual(objective, wanted)) return
    const message = `objective is ${JSON.stringify(objective)}; the strategy needs ${JSON.stringify(wanted)}`
    context.addIssue({ code: 'custom', path: ['training'], message })
  })

const RoundPlan = z
  .object({
    round: positiveInt,
    attempt: positiveInt,
    participants: z.array(name).min(1).max(20_000),
    minimumUpdates: positiveInt,
    deadlineSeconds: seconds,
    rounds: positiveInt,
    population: positiveInt,
  })
  .refine((plan) => new Set(plan.participants).size === plan.participants.length, {
    path: ['participants'],
    message: 'names a node twice',
  })

const CampaignPlanSchema = z
  .object({
    uid,
    namespace: name,
    name,
    modelUid: uid,
    training: TrainingPlan,
    participants: z.array(z.object({ node: name, pod: name })).max(20_000),
    round: RoundPlan.optional(),
    finished: z.boolean(),
    finishedReason: z.string().max(1024),
    evaluationDeadlineSeconds: seconds,
    // Plans that were written down before there were tiers have none.
    tiers: z.array(TierNode).max(MOST_TIERS).default([]),
    // Plans of campaigns that began before there was a choice have none.
    lateUpdates: z
      .enum([LateUpdates.UNSPECIFIED, LateUpdates.DROP, LateUpdates.CARRY, LateUpdates.DISCOUNT])
      .default(LateUpdates.DROP)
      .transform((chosen) => (chosen === LateUpdates.UNSPECIFIED ? LateUpdates.DROP : chosen)),
    // Controllers of plans that were written down before there was a choice go with their campaign.
    controllersStay: z.boolean().default(false),
  })
  .refine((plan) => new Set(plan.participants.map(({ node }) => node)).size === plan.participants.length, {
    path: ['participants'],
    message: 'names a node twice',
  })
  .superRefine(({ training, round }, context) => {
    const problem = round && problemWithCount(strategyConfigurationOf(training), round.minimumUpdates)
    if (problem) context.addIssue({ code: 'custom', path: ['round', 'minimumUpdates'], message: problem })
  })
  .superRefine(({ training, round }, context) => {
    const strategy = strategyConfigurationOf(training)
    if (strategy.type !== 'FedBuff' || !round || round.minimumUpdates <= strategy.bufferSize) return
    const message = `is ${round.minimumUpdates}; a buffer of FedBuff holds bufferSize ${strategy.bufferSize} updates`
    context.addIssue({ code: 'custom', path: ['round', 'minimumUpdates'], message })
  })
  .superRefine(({ training, round, tiers }, context) => {
    const surroundings = {
      strategy: strategyConfigurationOf(training),
      deadlineSeconds: round?.deadlineSeconds,
    }
    for (const { path, message } of tierProblems(tiers, surroundings)) {
      context.addIssue({ code: 'custom', path: ['tiers', ...path], message })
    }
  })
  .superRefine(({ training, lateUpdates }, context) => {
    const { type, allowsTiers } = strategyOf(strategyConfigurationOf(training))
    if (lateUpdates === LateUpdates.DROP || allowsTiers) return
    const message = `is ${lateUpdates}; ${type} is no mean weighted by samples alone and goes with ${LateUpdates.DROP}`
    context.addIssue({ code: 'custom', path: ['lateUpdates'], message })
  })
type Configurations = Readonly<Record<'training' | 'schedule' | 'strategy' | 'transfer', string>>

export function trainingOf({ training }: Pick<Configurations, 'training'>): TrainingConfiguration {
  return TrainingConfiguration.parse(JSON.parse(training))
}

export function scheduleOf({ schedule }: Pick<Configurations, 'schedule'>): LearningRateSchedule {
  return LearningRateSchedule.parse(JSON.parse(schedule))
}

export function transferOf({ transfer }: Pick<Configurations, 'transfer'>): TransferConfiguration {
  return TransferConfiguration.parse(JSON.parse(transfer))
}

export function strategyConfigurationOf({
  strategy,
}: Pick<Configurations, 'strategy'>): StrategyConfiguration {
  return StrategyConfiguration.parse(JSON.parse(strategy))
}

export type CheckedCampaignPlan = z.infer<typeof CampaignPlanSchema>
export { CampaignPlanSchema }

export const ModelPlanSchema = z.object({
  uid,
  namespace: name,
  name,
  storageUri: z.string().min(1).max(2048),
  digest: z.union([z.literal(''), z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is not sha256:<64 hex>')]),
  servingNodes: z.array(name).max(20_000),
})
export type CheckedModelPlan = z.infer<typeof ModelPlanSchema>

export function checkCampaignPlan(plan: CampaignPlan): CheckedCampaignPlan {
  return check(CampaignPlanSchema, plan, 'campaign plan')
}

export function checkModelPlan(plan: ModelPlan): CheckedModelPlan {
  return check(ModelPlanSchema, plan, 'model plan')
}

function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const details = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new TierError('invalid', 'PlanInvalid', `${what}: ${details.slice(0, 5).join('; ')}`)
}

/** Whether the campaign's edge controllers go on: until it is over, and after that while they hand out models. */
export function hasControllers({
  finished,
  controllersStay,
}: Pick<CheckedCampaignPlan, 'finished' | 'controllersStay'>): boolean {
  return !finished || controllersStay
}
