/*
 * The losses. Each sample's loss is the mean over its outputs; a batch's loss is the mean over its samples,
 * weighted by sample_weight. Classification losses take logits: a Softmax, LogSoftmax or Sigmoid at the model's
 * end has been taken off before (see head.ts), because the loss of a rounded probability is not.
 */
import type { GraphBuilder, Shape } from './builder.ts'
import type { Loss } from './configuration.ts'
import { ModelError } from './errors.ts'
import { floatTensor, int } from './graph.ts'
import { type Label, elementCount, type Metric } from './manifest.ts'

export type SampleMetric = 'correct' | 'absoluteError' | 'squaredError'

export interface LossGraph {
  /** [batch] */
  perSample: string
  /** The gradient of Σ coefficient · perSample with respect to the model's output. */
  gradient: (coefficient: string) => string
  /** [batch] each, for evaluation. */
  metrics: () => Partial<Record<SampleMetric, string>>
}

export interface Head {
  builder: GraphBuilder
  /** The model's output: logits or predictions, [batch, …]. */
  z: string
  shape: Shape
  /** Labels, as `labelFor` says. */
  y: string
}

export function labelFor(loss: Loss, output: Shape): Omit<Label, 'name'> {
  if (loss.type !== 'SoftmaxCrossEntropy') return { shape: [...output], type: 'float32' }
  const [batch = 1, classes = 0, ...positions] = output
  if (output.length < 2 || classes < 2) {
    throw new ModelError(
      `loss SoftmaxCrossEntropy needs an output of shape [batch, classes] or [batch, classes, positions…] with 2 ` +
        `or more classes; the model's is [${['batch', ...output.slice(1)].join(', ')}]`,
    )
  }
  return { shape: [batch, ...positions], type: 'int32', classes }
}

export function metricsFor(loss: Loss): Metric[] {
  const classification = loss.type === 'SoftmaxCrossEntropy' || loss.type === 'BinaryCrossEntropy'
  return classification ? ['loss', 'accuracy'] : ['loss', 'meanAbsoluteError', 'meanSquaredError']
}

export function emitLoss(loss: Loss, head: Head): LossGraph {
  switch (loss.type) {
    case 'SoftmaxCrossEntropy':
      return softmaxCrossEntropy(head)
    case 'BinaryCrossEntropy':
      return binaryCrossEntropy(head)
    case 'MeanSquaredError':
      return regression(head, meanSquaredError)
    case 'Huber':
      return regression(head, huber(loss.delta))
  }
}

/** Classes along axis 1; where there are positions after it, a sample's loss is their mean. */
function softmaxCrossEntropy({ builder, z, shape, y }: Head): LossGraph {
  const classes = builder.constant({ type: 'int32', shape: [], data: Int32Array.of(shape[1] ?? 0) })
  // The target with the other sign, so that nothing needs to be negated afterwards.
  const offOn = builder.constant(floatTensor([0, -1], [2]))
  const target = builder.add('OneHot', [y, classes, offOn], { axis: int(1) })
  const logProbability = builder.add('LogSoftmax', [z], { axis: int(1) })
  const picked = builder.reduceSum(builder.add('Mul', [logProbability, target]), [1], false)
  const positions: Head = { builder, z, y, shape: shape.toSpliced(1, 1) }
  return {
    perSample: sampleMean(positions, picked),
    gradient: (coefficient) => {
      const difference = builder.add('Add', [builder.add('Exp', [logProbability]), target])
      const share = shareOf(positions, coefficient)
      return builder.add('Mul', [
        difference,
        builder.reshape(share, [shape[0] ?? 1, ...shape.slice(1).map(() => 1)]),
      ])
    },
    metrics: () => {
      const predicted = builder.add('ArgMax', [z], { axis: int(1), keepdims: int(0) })
      const label = builder.cast(y, 'int64')
      const correct = builder.cast(builder.add('Equal', [predicted, label]), 'float32')
      return { correct: sampleMean(positions, correct) }
    },
  }
}

/** max(z, 0) - z·y + log(1 + exp(-|z|)): no exponential overflows. */
function binaryCrossEntropy(head: Head): LossGraph {
  const { builder, z, y } = head
  const linear = builder.add('Sub', [builder.add('Relu', [z]), builder.add('Mul', [z, y])])
  const rest = builder.add('Softplus', [builder.add('Neg', [builder.add('Abs', [z])])])
  return {
    perSample: sampleMean(head, builder.add('Add', [linear, rest])),
    gradient: (coefficient) =>
      scaledRows(head, builder.add('Sub', [builder.add('Sigmoid', [z]), y]), coefficient),
    metrics: () => {
      const predicted = builder.add('Greater', [z, builder.scalar(0)])
      const actual = builder.add('Greater', [y, builder.scalar(0.5)])
      const correct = builder.cast(builder.add('Equal', [predicted, actual]), 'float32')
      return { correct: sampleMean(head, correct) }
    },
  }
}

interface Penalty {
  value: string
  slope: () => string
}

type PenaltyOf = (builder: GraphBuilder, difference: string) => Penalty

function meanSquaredError(builder: GraphBuilder, difference: string): Penalty {
  return {
    value: builder.add('Mul', [difference, difference]),
    slope: () => builder.add('Mul', [difference, builder.scalar(2)]),
  }
}

/** With c = clip(d, ±δ): c · (d - c/2), and c is the slope. */
function huber(delta: number): PenaltyOf {
  return (builder, difference) => {
    const clipped = builder.add('Clip', [difference, builder.scalar(-delta), builder.scalar(delta)])
    const half = builder.add('Mul', [clipped, builder.scalar(0.5)])
    return {
      value: builder.add('Mul', [clipped, builder.add('Sub', [difference, half])]),
      slope: () => clipped,
    }
  }
}

function regression(head: Head, penaltyOf: PenaltyOf): LossGraph {
  const { builder, z, y } = head
  const difference = builder.add('Sub', [z, y])
  const penalty = penaltyOf(builder, difference)
  return {
    perSample: sampleMean(head, penalty.value),
    gradient: (coefficient) => scaledRows(head, penalty.slope(), coefficient),
    metrics: () => ({
      absoluteError: sampleMean(head, builder.add('Abs', [difference])),
      squaredError: sampleMean(head, builder.add('Mul', [difference, difference])),
    }),
  }
}

function sampleMean({ builder, shape }: Head, value: string): string {
  const axes = shape.map((_, axis) => axis).slice(1)
  if (axes.length === 0) return value
  return builder.add('ReduceMean', [value, builder.int64(axes)], { keepdims: int(0) })
}

function scaledRows(head: Head, value: string, coefficient: string): string {
  const { builder, shape } = head
  const share = shareOf(head, coefficient)
  return builder.add('Mul', [value, builder.reshape(share, [shape[0] ?? 1, ...shape.slice(1).map(() => 1)])])
}

/** [batch]: what one of a sample's outputs counts in the batch's loss. */
function shareOf({ builder, shape }: Head, coefficient: string): string {
  const outputs = elementCount(shape.slice(1))
  return outputs === 1 ? coefficient : builder.add('Mul', [coefficient, builder.scalar(1 / outputs)])
}
