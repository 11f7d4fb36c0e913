// The strategies that merge updates, with their parameters. How each works, and its source, is in
// federation/aggregation; how many updates each needs is checked here when a manifest is applied, and by the hub again.
import { z } from 'zod'
import { goesWithItsType, memberOf, needsItsMember } from './members.ts'
import { rule, validations, type Rule } from './rules.ts'

/** Strategies whose parameters all have a default, and those whose member must be written. */
const WITH_DEFAULTS = ['FedAvgM', 'FedAdagrad', 'FedAdam', 'FedYogi', 'Scaffold', 'GeometricMedian']
const WITHOUT = [
  ...['FedProx', 'QFedAvg', 'FedDyn', 'FedBuff', 'TrimmedMean', 'Krum', 'MultiKrum', 'Bulyan'],
  'NormClipping',
]

const serverLearningRate = (value: number) =>
  z.number().gt(0).max(1e6).default(value).describe('Step size of the server.')
const decay = (value: number, what: string) => z.number().min(0).lt(1).default(value).describe(what)
const tau = z
  .number()
  .gt(0)
  .max(1)
  .default(1e-3)
  .describe('Keeps the divisor away from 0; the larger, the less adaptive.')
const byzantine = z.int().min(0).max(1024).describe('Participants that may lie, at most.')
const adaptive = (rate: number) =>
  z.object({
    serverLearningRate: serverLearningRate(rate),
    beta1: decay(0.9, 'Decay of the first moment.'),
    beta2: decay(0.99, 'Decay of the second moment.'),
    tau,
  })
const parametersOf = (type: string): string => `Parameters of type ${type}.`

const means = {
  fedAvgM: z
    .object({
      serverLearningRate: serverLearningRate(1),
      serverMomentum: decay(0.9, 'Momentum of the server.'),
    })
    .optional()
    .describe(parametersOf('FedAvgM')),
  fedAdagrad: z
    .object({ serverLearningRate: serverLearningRate(0.1), tau })
    .optional()
    .describe(parametersOf('FedAdagrad')),
  fedAdam: adaptive(0.1).optional().describe(parametersOf('FedAdam')),
  fedYogi: adaptive(0.01).optional().describe(parametersOf('FedYogi')),
  fedProx: z
    .object({ mu: z.number().min(0).max(1e6).describe("Weight of the proximal term in a node's loss.") })
    .optional()
    .describe(parametersOf('FedProx')),
  scaffold: z
    .object({ serverLearningRate: serverLearningRate(1) })
    .optional()
    .describe(parametersOf('Scaffold')),
  qFedAvg: z
    .object({
      q: z
        .number()
        .min(0)
        .max(100)
        .describe('0 is a plain mean; the larger, the more nodes with a high loss count.'),
    })
    .optional()
    .describe(parametersOf('QFedAvg')),
  fedDyn: z
    .object({
      alpha: z.number().gt(0).max(1e6).describe("Weight of the dynamic regulariser in a node's loss."),
    })
    .optional()
    .describe(parametersOf('FedDyn')),
}

const asynchronous = {
  fedBuff: z
    .object({
      bufferSize: z
        .int()
        .min(1)
        .max(10000)
        .describe('Updates that close a round, whoever else still trains.'),
      maxStaleness: z
        .int()
        .min(0)
        .max(100)
        .default(20)
        .describe(
          'Rounds that may have closed since an update began; what is older is dropped. The parameters of so many rounds are kept.',
        ),
      serverLearningRate: serverLearningRate(1),
    })
    .optional()
    .describe(parametersOf('FedBuff')),
}

const robust = {
  trimmedMean: z
    .object({ trimmed: z.int().min(0).max(10000).describe('Values left out at each end.') })
    .optional()
    .describe(parametersOf('TrimmedMean')),
  krum: z.object({ byzantine }).optional().describe(parametersOf('Krum')),
  multiKrum: z
    .object({ byzantine, selected: z.int().min(1).max(1024).describe('Updates that are averaged.') })
    .optional()
    .describe(parametersOf('MultiKrum')),
  bulyan: z.object({ byzantine }).optional().describe(parametersOf('Bulyan')),
  geometricMedian: z
    .object({
      maxIterations: z.int().min(1).max(1000).default(100).describe('Iterations at most.'),
      tolerance: z
        .number()
        .min(0)
        .lt(1)
        .default(1e-6)
        .describe('Stops when the sum of distances falls by less than this share of itself.'),
    })
    .optional()
    .describe(parametersOf('GeometricMedian')),
  normClipping: z
    .object({
      byzantine,
      maximumNorm: z
        .number()
        .gt(0)
        .max(1e18)
        .optional()
        .describe('Norm to clip to; found among the updates when absent.'),
    })
    .optional()
    .describe(parametersOf('NormClipping')),
}

const TYPES = [
  ...(['FedAvg', 'FedAvgM', 'FedAdagrad', 'FedAdam', 'FedYogi', 'FedProx', 'Scaffold', 'FedNova'] as const),
  ...(['QFedAvg', 'FedDyn', 'FedBuff', 'Median', 'TrimmedMean', 'Krum', 'MultiKrum', 'Bulyan'] as const),
  ...(['GeometricMedian', 'NormClipping'] as const),
] as const

export const Aggregation = z
  .object({
    strategy: z
      .object({
        type: z
          .enum(TYPES)
          .default('FedAvg')
          .describe(
            'FedAvg: mean of the updates weighted by training samples (McMahan et al. 2017). FedAvgM, FedAdagrad, FedAdam, FedYogi: a server optimiser on that mean. FedProx, Scaffold, FedNova, QFedAvg, FedDyn: for nodes whose data differ. FedBuff: for nodes of unlike speed, nobody is waited for. Median, TrimmedMean, Krum, MultiKrum, Bulyan, GeometricMedian, NormClipping: for participants that may lie.',
          ),
        ...means,
        ...asynchronous,
        ...robust,
      })
      .meta(validations(...goesWithItsType(...WITH_DEFAULTS, ...WITHOUT), ...needsItsMember(...WITHOUT)))
      .prefault({})
      .describe('Aggregation strategy; docs/api.md says when to take which.'),
  })
  .prefault({})
  .describe('How updates are merged. Cannot be changed.')

const strategy = 'self.aggregation.strategy'
const quorum = 'self.completion.minUpdates'
const buffer = `${strategy}.fedBuff`

/** @param needed CEL of the number of updates that the strategy needs, from its member `m` */
function needs(type: string, needed: (m: string) => string, words: string): Rule {
  const member = `${strategy}.${memberOf(type)}`
  return rule(
    `${strategy}.type != '${type}' || !has(${member}) || ${quorum} >= ${needed(member)}`,
    `completion.minUpdates is too low for ${type}: it needs at least ${words} updates`,
    { fieldPath: '.completion.minUpdates' },
  )
}

/** Strategies that compare every two updates. */
const COMPARING = ['Krum', 'MultiKrum', 'Bulyan', 'GeometricMedian', 'NormClipping']
const MOST_COMPARED = 1024

/** Rules on the whole spec: every round that reaches its quorum can be merged. */
export const aggregationRules: Rule[] = [
  needs('TrimmedMean', (m) => `2 * ${m}.trimmed + 1`, '2 * trimmed + 1'),
  needs('Krum', (m) => `2 * ${m}.byzantine + 3`, '2 * byzantine + 3'),
  needs('MultiKrum', (m) => `2 * ${m}.byzantine + 3`, '2 * byzantine + 3'),
  needs('MultiKrum', (m) => `${m}.byzantine + ${m}.selected`, 'byzantine + selected'),
  needs('Bulyan', (m) => `4 * ${m}.byzantine + 3`, '4 * byzantine + 3'),
  needs('NormClipping', (m) => `2 * ${m}.byzantine + 1`, '2 * byzantine + 1'),
  rule(
    `!(${strategy}.type in [${COMPARING.map((type) => `'${type}'`).join(', ')}]) || (has(self.participants.perRound) && self.participants.perRound <= ${MOST_COMPARED})`,
    `a strategy that compares every two updates needs participants.perRound, of at most ${MOST_COMPARED}`,
    { fieldPath: '.participants.perRound', value: `${strategy}.type` },
  ),
  rule(
    `${strategy}.type != 'FedBuff' || !has(${buffer}) || ${quorum} <= ${buffer}.bufferSize`,
    'completion.minUpdates is too high for FedBuff: a round closes with fedBuff.bufferSize updates',
    { fieldPath: '.completion.minUpdates' },
  ),
  rule(
    `${strategy}.type != 'FedBuff' || !has(${buffer}) || !has(self.participants.perRound) || ${buffer}.bufferSize <= self.participants.perRound`,
    'participants.perRound is too low for FedBuff: so many nodes cannot fill fedBuff.bufferSize',
    { fieldPath: '.participants.perRound' },
  ),
  rule(
    `${strategy}.type != 'Scaffold' || self.training.optimizer.type == 'SGD'`,
    'Scaffold needs training.optimizer.type SGD: its control variates are means of gradients',
    { fieldPath: '.training.optimizer.type', value: 'self.training.optimizer.type' },
  ),
]
