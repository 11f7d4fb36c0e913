// From the manifest's words to the configurations that the hub is given: everything that was said arrives, and what was
// left out means the same on both sides.
import { describe, expect, it } from 'vitest'
import { Optimizer as ManifestOptimizer } from '#crds/optimizer.ts'
import { flat, memberOf } from '#crds/members.ts'
import { Aggregation } from '#crds/aggregation.ts'
import { TIERED_STRATEGIES } from '#crds/hierarchy.ts'
import { Transfer } from '#crds/transfer.ts'
import { readTransferConfiguration, UploadCodec } from '#federation/tensors/configuration.ts'
import { readStrategyConfiguration, StrategyConfiguration } from '#federation/aggregation/configuration.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import { Personalization } from '#federation/training/personalization.ts'
import { LearningRateSchedule } from '#federation/training/schedule.ts'
import { Optimizer, TrainingConfiguration } from '#federation/training/configuration.ts'
import { LateUpdates } from '#federation/wire/generated/tributary.ts'
import { aRound, aSight } from '#operator/testing/builders.ts'
import { campaignPlan } from './plan.ts'

const regression = { loss: { type: 'MeanSquaredError' } }

function planOf(spec: object) {
  const plan = campaignPlan(aSight({ round: aRound(spec) }), { round: undefined, nodes: [], tiers: [] })
  const { training } = plan
  if (!training) throw new Error('unreachable: a plan has a training')
  return { ...training, training: TrainingConfiguration.parse(JSON.parse(training.training)) }
}

describe('the strategy of a plan', () => {
  it.each([
    { strategy: {}, want: { type: 'FedAvg' }, objective: { type: 'Plain' } },
    {
      strategy: { type: 'FedAdam', fedAdam: { serverLearningRate: 0.5 } },
      want: { type: 'FedAdam', serverLearningRate: 0.5, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
      objective: { type: 'Plain' },
    },
    {
      strategy: { type: 'FedProx', fedProx: { mu: 0.1 } },
      want: { type: 'FedProx', mu: 0.1 },
      objective: { type: 'Proximal', mu: 0.1 },
    },
    {
      strategy: { type: 'Scaffold' },
      want: { type: 'Scaffold', serverLearningRate: 1 },
      objective: { type: 'Scaffold' },
    },
    {
      strategy: { type: 'FedDyn', fedDyn: { alpha: 0.2 } },
      want: { type: 'FedDyn', alpha: 0.2 },
      objective: { type: 'FedDyn', alpha: 0.2 },
    },
    {
      strategy: { type: 'FedBuff', fedBuff: { bufferSize: 4 } },
      want: { type: 'FedBuff', bufferSize: 4, maxStaleness: 20, serverLearningRate: 1 },
      objective: { type: 'Plain' },
    },
  ])('is $want.type, with what its nodes minimise', ({ strategy, want, objective }) => {
    const plan = planOf({ aggregation: { strategy } })
    expect(readStrategyConfiguration(JSON.parse(plan.strategy))).toEqual(want)
    expect(plan.training.objective).toEqual(objective)
  })

  it('has the same defaults as a manifest', () => {
    const withDefaults = ['FedAvgM', 'FedAdagrad', 'FedAdam', 'FedYogi', 'Scaffold', 'GeometricMedian']
    for (const type of withDefaults) {
      const { strategy } = Aggregation.parse({ strategy: { type, [memberOf(type)]: {} } })
      expect(readStrategyConfiguration(flat(strategy))).toEqual(readStrategyConfiguration({ type }))
    }
  })

  it('is one that the hub knows, whichever a manifest may name', () => {
    const types = StrategyConfiguration.options.flatMap(({ shape }): string[] => [...shape.type.values])
    const named = types.filter((type) => Aggregation.safeParse({ strategy: { type } }).success)
    expect(named).toEqual(types)
  })
})

it('may be in zones exactly with the strategies that a tier can sum up', () => {
  const needed: Record<string, number> = { mu: 0, q: 0, alpha: 1, trimmed: 0, byzantine: 0, selected: 1 }
  const strategies = StrategyConfiguration.options.map(({ shape }) => {
    const [type = ''] = shape.type.values
    const parameters = Object.keys(shape).flatMap((key) => (key in needed ? [[key, needed[key]]] : []))
    return strategyOf(readStrategyConfiguration({ type, ...Object.fromEntries(parameters) }))
  })
  const allowed = strategies.filter(({ allowsTiers }) => allowsTiers).map(({ type }) => type)
  expect([...TIERED_STRATEGIES].sort()).toEqual([...new Set(allowed)].sort())
})

it.each([
  { spec: {}, want: LateUpdates.DROP },
  { spec: { lateUpdates: 'Carry' }, want: LateUpdates.CARRY },
  { spec: { lateUpdates: 'Discount' }, want: LateUpdates.DISCOUNT },
])('the late updates of a plan from $spec are $want', ({ spec, want }) => {
  const { lateUpdates } = campaignPlan(aSight({ round: aRound(spec) }), {
    round: undefined,
    nodes: [],
    tiers: [],
  })
  expect(lateUpdates).toBe(want)
})

describe('the transfer of a plan', () => {
  it.each([
    { upload: {}, want: { codec: { type: 'Float32' }, errorFeedback: false } },
    {
      upload: { codec: { type: 'Int4', int4: { rank: 8 } }, errorFeedback: true },
      want: { codec: { type: 'Int4', rank: 8 }, errorFeedback: true },
    },
    {
      upload: { codec: { type: 'TopK', topK: { fraction: 0.1 } }, errorFeedback: true },
      want: { codec: { type: 'TopK', fraction: 0.1 }, errorFeedback: true },
    },
  ])('encodes updates as $want.codec.type', ({ upload, want }) => {
    const plan = planOf({ transfer: { upload } })
    expect(readTransferConfiguration(JSON.parse(plan.transfer)).upload).toEqual(want)
  })

  it('has the same defaults as a manifest', () => {
    for (const type of ['Float16', 'Int8', 'Int4', 'TopK', 'SparseTernary']) {
      const { upload } = Transfer.parse({ upload: { codec: { type, [memberOf(type)]: {} } } })
      expect(UploadCodec.parse(flat(upload.codec))).toEqual(UploadCodec.parse({ type }))
    }
  })
})

describe('the personalisation of a plan', () => {
  it.each([
    {
      personalization: { type: 'LocalParameters', localParameters: { names: ['head.*', '*bn*'] } },
      want: { type: 'LocalParameters', names: ['head.*', '*bn*'] },
    },
    { personalization: { type: 'Ditto', ditto: { lambda: 0.1 } }, want: { type: 'Ditto', lambda: 0.1 } },
  ])('is $want.type', ({ personalization, want }) => {
    const plan = planOf({ personalization })
    expect(Personalization.parse(JSON.parse(plan.personalization ?? ''))).toEqual(want)
  })

  it('is none when the manifest has none', () => {
    expect(planOf({}).personalization).toBeUndefined()
  })

  it("leaves the strategy's own objective to the global model", () => {
    const plan = planOf({
      aggregation: { strategy: { type: 'FedDyn', fedDyn: { alpha: 0.2 } } },
      personalization: { type: 'Ditto', ditto: { lambda: 0.1 } },
    })
    expect(plan.training.objective).toEqual({ type: 'FedDyn', alpha: 0.2 })
  })
})

describe('the schedule of a plan', () => {
  it.each([
    { schedule: {}, want: { type: 'Constant', warmupRounds: 0 } },
    {
      schedule: { type: 'Step', warmupRounds: 2, step: { everyRounds: 3, factor: 0.5 } },
      want: { type: 'Step', warmupRounds: 2, everyRounds: 3, factor: 0.5 },
    },
    { schedule: { type: 'Cosine' }, want: { type: 'Cosine', warmupRounds: 0, minimumFactor: 0 } },
  ])('is $want.type', ({ schedule, want }) => {
    const plan = planOf({ training: { ...regression, schedule } })
    expect(LearningRateSchedule.parse(JSON.parse(plan.schedule))).toEqual(want)
  })
})

describe('the training configuration of a plan', () => {
  it('has the same defaults as a manifest', () => {
    for (const { shape } of Optimizer.options) {
      const [type = ''] = shape.type.values
      const written = ManifestOptimizer.parse({ type, [memberOf(type)]: {} })
      expect(Optimizer.parse(flat(written))).toEqual(Optimizer.parse({ type }))
    }
  })

  it.each([
    {
      name: 'the parameters of the optimiser',
      training: { optimizer: { type: 'SGD', sgd: { momentum: 0.9, nesterov: true } } },
      want: { optimizer: { type: 'SGD', momentum: 0.9, nesterov: true, weightDecay: 0 } },
    },
    {
      name: 'the parameters of an optimiser with a name of its own spelling',
      training: { optimizer: { type: 'RMSProp', rmsProp: { centered: true } } },
      want: { optimizer: { type: 'RMSProp', centered: true, alpha: 0.99 } },
    },
    {
      name: 'the parameters of the loss',
      training: { loss: { type: 'Huber', huber: { delta: 2 } } },
      want: { loss: { type: 'Huber', delta: 2 } },
    },
    {
      name: 'the clipping of gradients',
      training: { gradientClipping: { type: 'Value', maximum: 0.5 } },
      want: { gradientClipping: { type: 'Value', maximum: 0.5 } },
    },
    {
      name: 'what stays frozen',
      training: { frozenParameters: ['features.*'] },
      want: { frozen: ['features.*'] },
    },
    {
      name: 'the memory limit in bytes',
      training: { memoryLimit: '64Mi' },
      want: { memoryLimitBytes: 67_108_864 },
    },
    { name: 'the threads', training: { threads: 4 }, want: { threads: 4 } },
    { name: 'the size of a batch', training: { batchSize: 7 }, want: { batchSize: 7 } },
  ])('says $name', ({ training, want }) => {
    expect(planOf({ training: { ...regression, ...training } }).training).toMatchObject(want)
  })

  it('says of one thread what it said before there was a choice', () => {
    const round = aRound({ training: { ...regression, threads: 1 } })
    const { training } = campaignPlan(aSight({ round }), { round: undefined, nodes: [], tiers: [] })
    expect(training?.training).not.toContain('threads')
  })
})
