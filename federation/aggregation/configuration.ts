// What a person says about how updates are merged: one member for each strategy, with its defaults and bounds.
// Which numbers of updates a configuration can merge is in preconditions.ts.
import { z } from 'zod'

/** How many participants may lie, at most. */
const byzantine = z.int().min(0).max(1024)
const serverLearningRate = z.number().positive().max(1e6)
const factor = z.number().min(0).lt(1)
/** Keeps the adaptive server optimisers from dividing by 0; the larger, the less adaptive they are. */
const tau = z.number().positive().max(1).default(1e-3)

/** The strategies, described in README.md. Members that have no default must be written. */
export const StrategyConfiguration = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('FedAvg') }),
  z.strictObject({
    type: z.literal('FedAvgM'),
    serverLearningRate: serverLearningRate.default(1),
    serverMomentum: factor.default(0.9),
  }),
  z.strictObject({
    type: z.literal('FedAdagrad'),
    serverLearningRate: serverLearningRate.default(0.1),
    tau,
  }),
  z.strictObject({
    type: z.literal('FedAdam'),
    serverLearningRate: serverLearningRate.default(0.1),
    beta1: factor.default(0.9),
    beta2: factor.default(0.99),
    tau,
  }),
  z.strictObject({
    type: z.literal('FedYogi'),
    serverLearningRate: serverLearningRate.default(0.01),
    beta1: factor.default(0.9),
    beta2: factor.default(0.99),
    tau,
  }),
  /** `mu` is the weight of the proximal term in the participants' loss. */
  z.strictObject({ type: z.literal('FedProx'), mu: z.number().min(0).max(1e6) }),
  z.strictObject({ type: z.literal('Scaffold'), serverLearningRate: serverLearningRate.default(1) }),
  z.strictObject({ type: z.literal('FedNova') }),
  /** `q` 0 is the plain mean; the larger, the more the participants with a high loss count. */
  z.strictObject({ type: z.literal('QFedAvg'), q: z.number().min(0).max(100) }),
  /** `alpha` is the weight of the dynamic regulariser in the participants' loss. */
  z.strictObject({ type: z.literal('FedDyn'), alpha: z.number().positive().max(1e6) }),
  z.strictObject({ type: z.literal('Median') }),
  /** `trimmed` is the number of values left out at each end. */
  z.strictObject({ type: z.literal('TrimmedMean'), trimmed: z.int().min(0).max(10_000) }),
  z.strictObject({ type: z.literal('Krum'), byzantine }),
  /** `selected` is the number of updates that are averaged. */
  z.strictObject({ type: z.literal('MultiKrum'), byzantine, selected: z.int().min(1).max(1024) }),
  z.strictObject({ type: z.literal('Bulyan'), byzantine }),
  /** Stops after `maxIterations`, or when the sum of distances falls by less than `tolerance` of itself. */
  z.strictObject({
    type: z.literal('GeometricMedian'),
    maxIterations: z.int().min(1).max(1000).default(100),
    tolerance: z.number().min(0).lt(1).default(1e-6),
  }),
  /** Without `maximumNorm`, the norm to clip to is found among the updates. */
  z.strictObject({
    type: z.literal('NormClipping'),
    byzantine,
    maximumNorm: z.number().positive().max(1e18).optional(),
  }),
  /**
   * `bufferSize` updates make a merge; one that started more than `maxStaleness` merges ago is refused. The parameters of so
   * many rounds are kept.
   */
  z.strictObject({
    type: z.literal('FedBuff'),
    bufferSize: z.int().min(1).max(10_000).default(10),
    maxStaleness: z.int().min(0).max(100).default(20),
    serverLearningRate: serverLearningRate.default(1),
  }),
])
export type StrategyConfiguration = z.infer<typeof StrategyConfiguration>
/** What may be written: members with a default may be left out. */
export type StrategyConfigurationInput = z.input<typeof StrategyConfiguration>
export type StrategyType = StrategyConfiguration['type']
/** The configuration of one strategy. */
export type Configured<Type extends StrategyType> = Extract<StrategyConfiguration, { type: Type }>

/** Reads a plan's JSON. Throws an error that names each wrong member, its value and what would be right. */
export function readStrategyConfiguration(value: unknown): StrategyConfiguration {
  const result = StrategyConfiguration.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message, input }) => {
    const found = input === undefined ? '' : ` (it is ${JSON.stringify(input)})`
    return `${['strategy', ...path.map(String)].join('.')}: ${message}${found}`
  })
  throw new Error(problems.join('; '))
}
