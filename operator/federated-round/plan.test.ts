// From the manifest's words to the configurations that the hub is given: everything that was said arrives, and what was
// left out means the same on both sides.
import { describe, expect, it } from 'vitest'
import { Optimizer as ManifestOptimizer } from '#crds/optimizer.ts'
import { flat } from '#crds/members.ts'
import { Optimizer, TrainingConfiguration } from '#federation/training/configuration.ts'
import { aRound, aSight } from '#operator/testing/builders.ts'
import { campaignPlan } from './plan.ts'

const regression = { loss: { type: 'MeanSquaredError' } }

function planOf(spec: object) {
  const plan = campaignPlan(aSight({ round: aRound(spec) }), { round: undefined, nodes: [] })
  const { training } = plan
  if (!training) throw new Error('unreachable: a plan has a training')
  return { ...training, training: TrainingConfiguration.parse(JSON.parse(training.training)) }
}

describe('the training configuration of a plan', () => {
  it('has the same defaults as a manifest', () => {
    for (const { shape } of Optimizer.options) {
      const [type = ''] = shape.type.values
      const written = ManifestOptimizer.parse({ type, [memberNames[type] ?? '']: {} })
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
    { name: 'the size of a batch', training: { batchSize: 7 }, want: { batchSize: 7 } },
  ])('says $name', ({ training, want }) => {
    expect(planOf({ training: { ...regression, ...training } }).training).toMatchObject(want)
  })
})

const memberNames: Readonly<Record<string, string>> = {
  SGD: 'sgd',
  Adam: 'adam',
  AdamW: 'adamW',
  Adagrad: 'adagrad',
  RMSProp: 'rmsProp',
  Yogi: 'yogi',
}
