/*
 * Activations made of pieces. At a kink the gradient is that of PyTorch.
 */
import type { GraphBuilder } from '../builder.ts'
import { float, floatOf } from '../graph.ts'
import { unbroadcast } from './broadcast.ts'
import { emitAsIs, emitInstead, input, type Operator } from './operator.ts'
import { unary } from './unary.ts'

function isPositive(builder: GraphBuilder, x: string): string {
  return builder.add('Greater', [x, builder.scalar(0)])
}

function scaled(builder: GraphBuilder, value: string, factor: number): string {
  return factor === 1 ? value : builder.add('Mul', [value, builder.scalar(factor)])
}

/** Below 0 the slope of α·(eˣ - 1) is y + α. */
const elu = unary(({ dy, x, y, builder }, node) => {
  const slope = builder.add('Add', [y, builder.scalar(floatOf(node, 'alpha', 1))])
  return builder.add('Where', [isPositive(builder, x), dy, builder.add('Mul', [dy, slope])])
})

const SELU = { alpha: 1.6732632, gamma: 1.050701 }

/** γ times Elu. */
const selu = unary(({ dy, x, y, builder }, node) => {
  const gamma = floatOf(node, 'gamma', SELU.gamma)
  const offset = gamma * floatOf(node, 'alpha', SELU.alpha)
  const slope = builder.add('Add', [y, builder.scalar(offset)])
  const above = scaled(builder, dy, gamma)
  return builder.add('Where', [isPositive(builder, x), above, builder.add('Mul', [dy, slope])])
})

/** Below 0 the slope of α·(e^(x/α) - 1) is y / α + 1. */
const celu = unary(({ dy, x, y, builder }, node) => {
  const share = scaled(builder, y, 1 / floatOf(node, 'alpha', 1))
  const slope = builder.add('Add', [share, builder.scalar(1)])
  return builder.add('Where', [isPositive(builder, x), dy, builder.add('Mul', [dy, slope])])
})

const thresholdedRelu = unary(({ dy, x, builder }, node) => {
  const kept = builder.add('Greater', [x, builder.scalar(floatOf(node, 'alpha', 1))])
  return builder.add('Mul', [dy, builder.cast(kept, 'float32')])
})

/** α·x + β between 0 and 1. */
const hardSigmoid = unary(({ dy, y, builder }, node) => {
  const above = builder.add('Greater', [y, builder.scalar(0)])
  const below = builder.add('Less', [y, builder.scalar(1)])
  const inside = builder.cast(builder.add('And', [above, below]), 'float32')
  return builder.add('Mul', [scaled(builder, dy, floatOf(node, 'alpha', 0.2)), inside])
})

/** x · h, with h = clip(x/6 + 1/2, 0, 1). The slope is 2h - 1/2 between -3 and 3, 0 at -3 and below, 1 at 3 and above. */
const hardSwish: Operator = {
  emit: (node, emitter) => {
    const { builder } = emitter
    const x = input(node, 0)
    const h = builder.add('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) })
    emitInstead(node, emitter, { op: 'Mul', inputs: [x, h], attributes: {} })
    return (dy) => [
      () => {
        const within = builder.add('Less', [builder.add('Abs', [x]), builder.scalar(3)])
        const above = builder.add('Sub', [h, builder.scalar(0.5)])
        const curved = builder.add('Mul', [above, builder.cast(within, 'float32')])
        return builder.add('Mul', [dy, builder.add('Add', [h, curved])])
      },
    ]
  },
}

/** Its slope for negative numbers is an input, broadcast to the first one. */
const pRelu: Operator = {
  emit: (node, emitter) => {
    const y = emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [x, slope] = [input(node, 0), input(node, 1)]
    return (dy) => [
      () => builder.add('Where', [isPositive(builder, x), dy, builder.add('Mul', [dy, slope])]),
      () => {
        const below = builder.add('Min', [x, builder.scalar(0)])
        return unbroadcast(builder, builder.add('Mul', [dy, below]), shape(y), shape(slope))
      },
    ]
  },
}

export const rectifier: Record<string, Operator> = {
  Elu: elu,
  Selu: selu,
  Celu: celu,
  ThresholdedRelu: thresholdedRelu,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  PRelu: pRelu,
}
