/*
 * The reductions. The compiled graph has their axes as a constant input. Where several elements are the largest or
 * the smallest, each gets an equal share of the gradient, as in PyTorch.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { describeNode, int, intOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { integersOf } from './constants.ts'
import { type Emitter, emitInstead, input, type Operator, output, positiveAxis } from './operator.ts'

/** `y` and `dy` keep the reduced axes with size 1, so that they broadcast over `x`. */
interface Values {
  builder: GraphBuilder
  x: string
  y: string
  dy: string
  shape: Shape
  axes: readonly number[]
  /** Elements that are reduced to one. */
  count: number
}

type Gradient = (values: Values) => string

function reduction(op: string, gradient: Gradient): Operator {
  return {
    emit: (node, emitter) => {
      const { builder } = emitter
      const x = input(node, 0)
      const shape = emitter.shape(x)
      const axes = axesOf(node, emitter)
      if (axes.length === 0) return passOn(node, emitter)
      emitInstead(node, emitter, {
        op,
        inputs: [x, builder.int64(axes)],
        attributes: { keepdims: int(intOf(node, 'keepdims', 1)) },
      })
      const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
      const count = elementCount(shape) / elementCount(kept)
      return (dy) => [
        () => {
          const [whole, wholeDy] = [output(node), dy].map((value) => builder.reshape(value, kept))
          return gradient({ builder, x, y: whole ?? '', dy: wholeDy ?? '', shape, axes, count })
        },
      ]
    },
  }
}

const PASSING: ReadonlySet<string> = new Set([
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
])

/** Without axes, by noop_with_empty_axes. */
function passOn(node: Node, emitter: Emitter): (dy: string) => (() => string)[] {
  if (!PASSING.has(node.op)) {
    throw new ModelError(`${describeNode(node)}: it reduces no axis, by noop_with_empty_axes; leave it out`)
  }
  emitInstead(node, emitter, { op: 'Identity', inputs: [input(node, 0)], attributes: {} })
  return (dy) => [() => dy]
}

function axesOf(node: Node, emitter: Emitter): number[] {
  const rank = emitter.shape(input(node, 0)).length
  const given = integersOf(node, 1, { emitter, what: 'axes' }) ?? []
  if (given.length > 0) return given.map((axis) => positiveAxis(axis, rank))
  const nothing = intOf(node, 'noop_with_empty_axes', 0) === 1
  return nothing ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

function spread({ builder, shape }: Values, value: string): string {
  return builder.add('Expand', [value, builder.int64(shape)])
}

const sum: Gradient = (values) => spread(values, values.dy)

const mean: Gradient = (values) => {
  const { builder, dy, count } = values
  return spread(values, builder.add('Mul', [dy, builder.scalar(1 / count)]))
}

const extreme: Gradient = ({ builder, x, y, dy, axes }) => {
  const chosen = builder.cast(builder.add('Equal', [x, y]), 'float32')
  const share = builder.add('Div', [dy, builder.reduceSum(chosen, axes, true)])
  return builder.add('Mul', [chosen, share])
}

/** The product of all other elements: with one 0 only it has a gradient, with more none has. */
const product: Gradient = ({ builder, x, dy, axes }) => {
  const one = builder.scalar(1)
  const isZero = builder.add('Equal', [x, builder.scalar(0)])
  const safe = builder.add('Where', [isZero, one, x])
  const all = builder.add('ReduceProd', [safe, builder.int64(axes)], { keepdims: int(1) })
  const zero = builder.cast(isZero, 'float32')
  const others = builder.add('Sub', [builder.reduceSum(zero, axes, true), zero])
  const alone = builder.cast(builder.add('Equal', [others, builder.scalar(0)]), 'float32')
  const slope = builder.add('Mul', [builder.add('Div', [all, safe]), alone])
  return builder.add('Mul', [dy, slope])
}

const l1: Gradient = ({ builder, x, dy }) => builder.add('Mul', [dy, builder.add('Sign', [x])])

/** x / y, and 0 where all elements are. */
const l2: Gradient = ({ builder, x, y, dy }) => {
  const isZero = builder.add('Equal', [y, builder.scalar(0)])
  const safe = builder.add('Where', [isZero, builder.scalar(1), y])
  return builder.add('Mul', [x, builder.add('Div', [dy, safe])])
}

const sumSquare: Gradient = ({ builder, x, dy }) => {
  return builder.add('Mul', [builder.add('Mul', [x, builder.scalar(2)]), dy])
}

const logSum: Gradient = (values) => {
  const { builder, x, dy, axes } = values
  return spread(values, builder.add('Div', [dy, builder.reduceSum(x, axes, true)]))
}

const logSumExp: Gradient = ({ builder, x, y, dy }) => {
  return builder.add('Mul', [dy, builder.add('Exp', [builder.add('Sub', [x, y])])])
}

const GRADIENTS: Record<string, Gradient> = {
  ReduceSum: sum,
  ReduceMean: mean,
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceProd: product,
  ReduceL1: l1,
  ReduceL2: l2,
  ReduceSumSquare: sumSquare,
  ReduceLogSum: logSum,
  ReduceLogSumExp: logSumExp,
}

export const reductions: Record<string, Operator> = Object.fromEntries(
  Object.entries(GRADIENTS).map(([op, gradient]) => [op, reduction(op, gradient)]),
)
