/*
 * Activations without kinks: Gelu in both forms, Softplus, Softsign, Mish and Swish.
 */
import type { GraphBuilder } from '../builder.ts'
import { floatOf, type Node, stringOf } from '../graph.ts'
import { emitInstead, type Emitter, input, type Operator, output } from './operator.ts'
import { unary } from './unary.ts'

function chain(builder: GraphBuilder): Record<'add' | 'multiply', (a: string, b: string | number) => string> {
  const value = (b: string | number): string => (typeof b === 'number' ? builder.scalar(b) : b)
  return {
    add: (a, b) => builder.add('Add', [a, value(b)]),
    multiply: (a, b) => builder.add('Mul', [a, value(b)]),
  }
}

/** Φ(x) + x·φ(x), with the distribution function and the density of the normal distribution. */
function exactGeluSlope(builder: GraphBuilder, x: string): string {
  const { add, multiply } = chain(builder)
  const erf = builder.add('Erf', [multiply(x, Math.SQRT1_2)])
  const distribution = multiply(add(erf, 1), 0.5)
  const exponential = builder.add('Exp', [multiply(multiply(x, x), -0.5)])
  const density = multiply(exponential, 1 / Math.sqrt(2 * Math.PI))
  return add(distribution, multiply(x, density))
}

const TANH_GELU = { scale: Math.sqrt(2 / Math.PI), cubic: 0.044715 }

/** With t = tanh(u), u = s·(x + c·x³): (1 + t)/2 + x/2 · (1 - t²) · s·(1 + 3c·x²) */
function tanhGeluSlope(builder: GraphBuilder, x: string): string {
  const { add, multiply } = chain(builder)
  const { scale, cubic } = TANH_GELU
  const square = multiply(x, x)
  const inner = multiply(multiply(x, add(multiply(square, cubic), 1)), scale)
  const t = builder.add('Tanh', [inner])
  const rest = builder.add('Sub', [builder.scalar(1), multiply(t, t)])
  const innerSlope = multiply(add(multiply(square, 3 * cubic), 1), scale)
  const second = multiply(multiply(x, rest), innerSlope)
  return multiply(add(add(t, 1), second), 0.5)
}

const gelu = unary(({ dy, x, builder }, node) => {
  const slope =
    stringOf(node, 'approximate', 'none') === 'tanh' ? tanhGeluSlope(builder, x) : exactGeluSlope(builder, x)
  return builder.add('Mul', [dy, slope])
})

const softplus = unary(({ dy, x, builder }) => builder.add('Mul', [dy, builder.add('Sigmoid', [x])]))

/** 1 / (1 + |x|)² */
const softsign = unary(({ dy, x, builder }) => {
  const { add, multiply } = chain(builder)
  const size = add(builder.add('Abs', [x]), 1)
  return builder.add('Div', [dy, multiply(size, size)])
})

/** With t = tanh(softplus(x)): t + x · (1 - t²) · sigmoid(x) */
const mish = unary(({ dy, x, builder }) => {
  const { add, multiply } = chain(builder)
  const t = builder.add('Tanh', [builder.add('Softplus', [x])])
  const rest = builder.add('Sub', [builder.scalar(1), multiply(t, t)])
  const second = multiply(multiply(x, rest), builder.add('Sigmoid', [x]))
  return multiply(dy, add(t, second))
})

/** x · sigmoid(α·x), spelled out: the operator is younger than the compiled graph's opset. */
const swish: Operator = {
  emit: (node: Node, emitter: Emitter) => {
    const { builder } = emitter
    const { add, multiply } = chain(builder)
    const x = input(node, 0)
    const alpha = floatOf(node, 'alpha', 1)
    const s = builder.add('Sigmoid', [alpha === 1 ? x : multiply(x, alpha)])
    emitInstead(node, emitter, { op: 'Mul', inputs: [x, s], attributes: {} })
    return (dy) => [
      () => {
        // s + α·y·(1 - s)
        const rest = builder.add('Sub', [builder.scalar(1), s])
        return multiply(dy, add(s, multiply(multiply(output(node), rest), alpha)))
      },
    ]
  },
}

export const smooth: Record<string, Operator> = {
  Gelu: gelu,
  Softplus: softplus,
  Softsign: softsign,
  Mish: mish,
  Swish: swish,
}
