/*
 * Elementwise activations, and softmax along an axis. At a kink the gradient is that of PyTorch: 0 at 0 for
 * Relu, the negative slope at 0 for LeakyRelu, 0 on the bounds of Clip.
 */
import { floatOf, intOf, type Node } from '../graph.ts'
import { emitAsIs, type Emitter, input, type Operator, positiveAxis } from './operator.ts'
import { unary } from './unary.ts'

const relu = unary(({ dy, x, builder }) => {
  const positive = builder.add('Greater', [x, builder.scalar(0)])
  return builder.add('Mul', [dy, builder.cast(positive, 'float32')])
})

const leakyRelu = unary(({ dy, x, builder }, node) => {
  const positive = builder.add('Greater', [x, builder.scalar(0)])
  const slope = builder.scalar(floatOf(node, 'alpha', 0.01))
  return builder.add('Where', [positive, dy, builder.add('Mul', [dy, slope])])
})

/** dy · y · (1 - y) */
const sigmoid = unary(({ dy, y, builder }) => {
  const rest = builder.add('Sub', [builder.scalar(1), y])
  return builder.add('Mul', [dy, builder.add('Mul', [y, rest])])
})

/** dy · (1 - y²) */
const tanh = unary(({ dy, y, builder }) => {
  const square = builder.add('Mul', [y, y])
  return builder.add('Mul', [dy, builder.add('Sub', [builder.scalar(1), square])])
})

/** y · (dy - Σ dy · y) */
const softmax = unary(({ dy, y, builder }, node, emitter) => {
  const sum = builder.reduceSum(builder.add('Mul', [dy, y]), [softmaxAxis(node, emitter)], true)
  return builder.add('Mul', [y, builder.add('Sub', [dy, sum])])
})

/** dy - exp(y) · Σ dy */
const logSoftmax = unary(({ dy, y, builder }, node, emitter) => {
  const sum = builder.reduceSum(dy, [softmaxAxis(node, emitter)], true)
  return builder.add('Sub', [dy, builder.add('Mul', [builder.add('Exp', [y]), sum])])
})

function softmaxAxis(node: Node, { shape }: Emitter): number {
  return positiveAxis(intOf(node, 'axis', -1), shape(input(node, 0)).length)
}

const clip = unary(({ dy, x, builder }, node) => {
  const [low, high] = [input(node, 1), input(node, 2)]
  const inside = [
    ...(low === '' ? [] : [builder.add('Greater', [x, low])]),
    ...(high === '' ? [] : [builder.add('Less', [x, high])]),
  ]
  if (inside.length === 0) return dy
  const kept = inside.reduce((a, b) => builder.add('And', [a, b]))
  return builder.add('Mul', [dy, builder.cast(kept, 'float32')])
})

const identity: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    return (dy) => [() => dy]
  },
}

export const activation: Record<string, Operator> = {
  Relu: relu,
  LeakyRelu: leakyRelu,
  Sigmoid: sigmoid,
  Tanh: tanh,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  Clip: clip,
  Identity: identity,
}
