/*
 * BatchNormalization. In training its statistics are those of the batch's real samples, padding left out, and
 * the running statistics move as the operator's standard says: running · momentum + batch · (1 - momentum),
 * with the population variance. (PyTorch keeps the sample variance instead; after training the two differ by
 * the factor n / (n - 1).) With frozen running statistics they are used in training too.
 */
import type { GraphBuilder } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { type Attributes, describeNode, float, floatOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { type Backward, type Emitter, emitInstead, input, type Operator } from './operator.ts'
import { allBut } from './window.ts'

/** [x, scale, bias, mean, variance] */
type Inputs = readonly [string, string, string, string, string]

const batchNormalization: Operator = {
  emit: (node, emitter) => {
    const inputs: Inputs = [input(node, 0), input(node, 1), input(node, 2), input(node, 3), input(node, 4)]
    const learnsStatistics = [inputs[3], inputs[4]].map(emitter.isState)
    if (learnsStatistics[0] !== learnsStatistics[1]) {
      throw new ModelError(`${describeNode(node)}: freeze both its mean and its variance, or neither`)
    }
    if (emitter.mode === 'evaluation' || !learnsStatistics[0])
      return emitWithStatistics(node, inputs, emitter)
    return emitWithBatch(node, inputs, emitter)
  },
}

function attributesOf(node: Node): Attributes {
  return { epsilon: float(floatOf(node, 'epsilon', 1e-5)) }
}

/** y = scale · (x - mean) / √(variance + ε) + bias with given statistics. */
function emitWithStatistics(node: Node, inputs: Inputs, emitter: Emitter): Backward {
  emitInstead(node, emitter, { op: 'BatchNormalization', inputs, attributes: attributesOf(node) })
  const [x, scale, , mean, variance] = inputs
  const { builder, shape } = emitter
  const rank = shape(x).length
  const axes = allBut(1, rank)
  const channels = channelShape(shape(x))
  const inverse = (): string => inverseDeviation(builder, builder.reshape(variance, channels), node)
  return (dy) => [
    () => {
      const factor = builder.add('Mul', [builder.reshape(scale, channels), inverse()])
      return builder.add('Mul', [dy, factor])
    },
    () => {
      const centred = builder.add('Sub', [x, builder.reshape(mean, channels)])
      const normalized = builder.add('Mul', [centred, inverse()])
      return builder.reduceSum(builder.add('Mul', [dy, normalized]), axes, false)
    },
    () => builder.reduceSum(dy, axes, false),
  ]
}

function emitWithBatch(node: Node, inputs: Inputs, emitter: Emitter): Backward {
  const { builder } = emitter
  const [x, scale, bias, runningMean, runningVariance] = inputs
  const shape = emitter.shape(x)
  if (shape[0] !== emitter.batchSize) {
    throw new ModelError(
      `${describeNode(node)}: its input has shape [${shape.join(', ')}]; the first dimension must be the batch`,
    )
  }
  const axes = allBut(1, shape.length)
  const channels = channelShape(shape)
  const mask = builder.reshape(emitter.rowMask(), [shape[0], ...shape.slice(1).map(() => 1)])
  const spatial = elementCount(shape.slice(2))
  const count = builder.add('Mul', [builder.sumAll(emitter.rowMask()), builder.scalar(spatial)])
  const meanOf = (value: string): string => builder.add('Div', [builder.reduceSum(value, axes, true), count])

  const mean = meanOf(builder.add('Mul', [x, mask]))
  const centred = builder.add('Sub', [x, mean])
  const square = builder.add('Mul', [centred, centred])
  const variance = meanOf(builder.add('Mul', [square, mask]))
  const flat = [mean, variance].map((value) => builder.reshape(value, [shape[1] ?? 1]))
  emitInstead(node, emitter, {
    op: 'BatchNormalization',
    inputs: [x, scale, bias, ...flat],
    attributes: attributesOf(node),
  })
  const momentum = floatOf(node, 'momentum', 0.9)
  for (const [index, running] of [runningMean, runningVariance].entries()) {
    emitter.updateState(running, moved(builder, running, flat[index] ?? '', momentum))
  }
  return (dy) => {
    const inverse = inverseDeviation(builder, variance, node)
    const normalized = builder.add('Mul', [centred, inverse])
    const sum = builder.reduceSum(dy, axes, true)
    const weighted = builder.reduceSum(builder.add('Mul', [dy, normalized]), axes, true)
    return [
      () => {
        // scale / σ · (dy - mask · (Σ dy + x̂ · Σ dy · x̂) / n)
        const common = builder.add('Add', [sum, builder.add('Mul', [normalized, weighted])])
        const share = builder.add('Mul', [common, builder.add('Div', [mask, count])])
        const factor = builder.add('Mul', [builder.reshape(scale, channels), inverse])
        return builder.add('Mul', [builder.add('Sub', [dy, share]), factor])
      },
      () => builder.reshape(weighted, [shape[1] ?? 1]),
      () => builder.reshape(sum, [shape[1] ?? 1]),
    ]
  }
}

/** 1 / √(variance + ε) */
export function inverseDeviation(builder: GraphBuilder, variance: string, node: Node): string {
  const epsilon = builder.scalar(floatOf(node, 'epsilon', 1e-5))
  return builder.add('Reciprocal', [builder.add('Sqrt', [builder.add('Add', [variance, epsilon])])])
}

function moved(builder: GraphBuilder, running: string, batch: string, momentum: number): string {
  const kept = builder.add('Mul', [running, builder.scalar(momentum)])
  const moving = builder.add('Mul', [batch, builder.scalar(1 - momentum)])
  return builder.add('Add', [kept, moving], {}, `${running}.next`)
}

/** [1, channels, 1, …]: broadcasts along every other axis. */
function channelShape(shape: readonly number[]): number[] {
  return shape.map((size, axis) => (axis === 1 ? size : 1))
}

export const normalization: Record<string, Operator> = { BatchNormalization: batchNormalization }
