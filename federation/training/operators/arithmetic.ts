/*
 * Add, Sub, Mul, Div, Pow, and Sum and Mean of any number of inputs, with broadcasting. Pow's gradients are PyTorch's
 * where a power is 0 or a base is.
 */
import type { GraphBuilder } from '../builder.ts'
import { unbroadcast } from './broadcast.ts'
import { emitAsIs, type Emitter, input, type Operator } from './operator.ts'

type Step = (values: { dy: string; a: string; b: string; y: string }) => string

/** Both gradients: some steps at the output's shape, then the sum over the axes that were broadcast. */
function elementwise(rules: (emitter: Emitter) => { a: Step; b: Step }): Operator {
  return {
    emit: (node, emitter) => {
      const y = emitAsIs(node, emitter)
      const [a, b] = [input(node, 0), input(node, 1)]
      const { builder, shape } = emitter
      const rule = rules(emitter)
      return (dy) => [
        () => unbroadcast(builder, rule.a({ dy, a, b, y }), shape(y), shape(a)),
        () => unbroadcast(builder, rule.b({ dy, a, b, y }), shape(y), shape(b)),
      ]
    },
  }
}

/** The sum of all inputs, times a factor. */
function sum(factor: (inputs: number) => number): Operator {
  return {
    emit: (node, emitter) => {
      const y = emitAsIs(node, emitter)
      const { builder, shape } = emitter
      const share = factor(node.inputs.length)
      return (dy) => {
        const each = share === 1 ? dy : builder.add('Mul', [dy, builder.scalar(share)])
        return node.inputs.map((name) => () => unbroadcast(builder, each, shape(y), shape(name)))
      }
    },
  }
}

/** xᵉ; the exponent may be of integers. */
const pow: Operator = {
  emit: (node, emitter) => {
    const y = emitAsIs(node, emitter)
    const { builder, shape, type } = emitter
    const [x, given] = [input(node, 0), input(node, 1)]
    const exponent = (): string => (type(given) === 'float32' ? given : builder.cast(given, 'float32'))
    return (dy) => [
      () => {
        const slope = baseSlope(builder, { x, exponent: exponent() }, emitter.constant(given)?.data)
        return unbroadcast(builder, builder.add('Mul', [dy, slope]), shape(y), shape(x))
      },
      () => {
        const slope = exponentSlope(builder, { x, exponent: exponent(), y })
        return unbroadcast(builder, builder.add('Mul', [dy, slope]), shape(y), shape(given))
      },
    ]
  },
}

/** e · xᵉ⁻¹, and 0 where e is 0. */
function baseSlope(
  builder: GraphBuilder,
  { x, exponent }: { x: string; exponent: string },
  constant: ArrayLike<number | bigint> | undefined,
): string {
  if (constant?.length === 1 && Number(constant[0]) === 2) return builder.add('Mul', [x, builder.scalar(2)])
  const less = builder.add('Sub', [exponent, builder.scalar(1)])
  const slope = builder.add('Mul', [exponent, builder.add('Pow', [x, less])])
  if (constant && Array.from(constant, Number).every((value) => value !== 0)) return slope
  const isZero = builder.add('Equal', [exponent, builder.scalar(0)])
  return builder.add('Where', [isZero, builder.scalar(0), slope])
}

/** xᵉ · log x, and 0 where x is 0 and e is not negative. */
function exponentSlope(
  builder: GraphBuilder,
  { x, exponent, y }: { x: string; exponent: string; y: string },
): string {
  const zero = builder.scalar(0)
  const isZero = builder.add('And', [
    builder.add('Equal', [x, zero]),
    builder.add('GreaterOrEqual', [exponent, zero]),
  ])
  return builder.add('Where', [isZero, zero, builder.add('Mul', [y, builder.add('Log', [x])])])
}

export const arithmetic: Record<string, Operator> = {
  Add: elementwise(() => ({ a: ({ dy }) => dy, b: ({ dy }) => dy })),
  Sub: elementwise(({ builder }) => ({ a: ({ dy }) => dy, b: ({ dy }) => builder.add('Neg', [dy]) })),
  Mul: elementwise(({ builder }) => ({
    a: ({ dy, b }) => builder.add('Mul', [dy, b]),
    b: ({ dy, a }) => builder.add('Mul', [dy, a]),
  })),
  Div: elementwise(({ builder }) => ({
    a: ({ dy, b }) => builder.add('Div', [dy, b]),
    b: ({ dy, b, y }) => builder.add('Neg', [builder.add('Div', [builder.add('Mul', [dy, y]), b])]),
  })),
  Sum: sum(() => 1),
  Mean: sum((inputs) => 1 / inputs),
  Pow: pow,
}
