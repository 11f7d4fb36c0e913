/*
 * Functions of one number, and operators of several inputs that broadcast.
 */
import fc from 'fast-check'

import { type Attributes, float, type TensorValue } from '../../graph.ts'
import { elementCount } from '../../manifest.ts'
import {
  type Family,
  type NodeCase,
  type Numbers,
  POSITIVE,
  seeds,
  shapes,
  tensors,
  USUAL,
} from '../node-case.ts'

const number = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * 100, max: max * 100 }).map((value) => value / 100)

interface Unary {
  op: string
  numbers?: Numbers
  attributes?: fc.Arbitrary<Attributes>
}

const alpha = (min: number, max: number): fc.Arbitrary<Attributes> =>
  number(min, max).map((value) => ({ alpha: float(value) }))

const UNARY: readonly Unary[] = [
  { op: 'Abs' },
  { op: 'Celu', attributes: alpha(0.5, 2) },
  { op: 'Cos' },
  { op: 'Elu', attributes: alpha(0.5, 2) },
  { op: 'Erf' },
  { op: 'Exp' },
  {
    op: 'Gelu',
    attributes: fc.constantFrom('none', 'tanh').map((value) => ({ approximate: { kind: 'string', value } })),
  },
  { op: 'HardSigmoid', numbers: { low: -4, high: 4, kinks: [-2.5, 2.5] } },
  { op: 'HardSwish', numbers: { low: -5, high: 5, kinks: [-3, 3] } },
  { op: 'LeakyRelu', attributes: alpha(0.01, 0.5) },
  { op: 'Log', numbers: POSITIVE },
  { op: 'Mish', numbers: { low: -5, high: 5 } },
  { op: 'Neg' },
  { op: 'Reciprocal', numbers: POSITIVE },
  { op: 'Relu' },
  { op: 'Selu' },
  { op: 'Sigmoid', numbers: { low: -6, high: 6 } },
  { op: 'Sin' },
  { op: 'Softplus', numbers: { low: -6, high: 6 } },
  { op: 'Softsign' },
  { op: 'Sqrt', numbers: POSITIVE },
  { op: 'Swish', attributes: alpha(0.5, 2) },
  { op: 'Tanh' },
  { op: 'ThresholdedRelu', numbers: { low: -2, high: 2, kinks: [1] } },
]

const unary: Family = {
  name: 'functions of one number',
  cases: fc
    .tuple(fc.constantFrom(...UNARY), shapes({ minLength: 0, maxLength: 3 }), seeds)
    .chain(([{ op, numbers = USUAL, attributes = fc.constant({}) }, shape, seed]) =>
      attributes.map((chosen) => ({
        op,
        inputs: tensors([shape], seed, numbers),
        learning: [0],
        attributes: chosen,
      })),
    ),
}

/** Shapes that broadcast together: each drops leading dimensions of a common one, and has 1 in place of some. */
function together(count: number): fc.Arbitrary<number[][]> {
  return shapes({ minLength: 0, maxLength: 3 }).chain((full) =>
    fc.tuple(
      ...Array.from({ length: count }, () =>
        fc
          .tuple(
            fc.nat(full.length),
            fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }),
          )
          .map(([start, isOne]) => full.map((size, axis) => (isOne[axis] ? 1 : size)).slice(start)),
      ),
    ),
  )
}

const all = (values: readonly unknown[]): number[] => values.map((_, index) => index)

const binary = fc
  .tuple(fc.constantFrom('Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min'), together(2), seeds)
  .map(([op, shapes, seed]): NodeCase => {
    const numbers = op === 'Div' || op === 'Pow' ? POSITIVE : USUAL
    return { op, inputs: tensors(shapes, seed, numbers), learning: [0, 1] }
  })

const many = fc
  .tuple(fc.constantFrom('Sum', 'Mean', 'Max', 'Min'), fc.integer({ min: 1, max: 4 }).chain(together), seeds)
  .map(([op, shapes, seed]): NodeCase => {
    const inputs = tensors(shapes, seed)
    return { op, inputs, learning: all(inputs) }
  })

function truths(shape: readonly number[], seed: number): TensorValue {
  const data = Uint8Array.from({ length: elementCount(shape) }, (_, index) => (seed >> (index % 20)) & 1)
  return { type: 'bool', shape, data }
}

const where = fc.tuple(together(3), seeds).map(([[condition = [], ...rest], seed]): NodeCase => {
  return { op: 'Where', inputs: [truths(condition, seed), ...tensors(rest, seed)], learning: [1, 2] }
})

const pRelu = fc
  .tuple(shapes({ minLength: 1, maxLength: 3 }), fc.nat(3), fc.boolean(), seeds)
  .map(([shape, from, one, seed]): NodeCase => {
    const slope = one ? [1] : shape.slice(Math.min(from, shape.length - 1))
    return { op: 'PRelu', inputs: tensors([shape, slope], seed), learning: [0, 1] }
  })

const exponents = fc
  .tuple(shapes({ minLength: 0, maxLength: 3 }), fc.constantFrom(-2, -0.5, 0, 0.5, 1, 2, 3), seeds)
  .map(([shape, exponent, seed]): NodeCase => {
    const constant: TensorValue = { type: 'float32', shape: [], data: Float32Array.of(exponent) }
    return { op: 'Pow', inputs: [...tensors([shape], seed, POSITIVE), constant], learning: [0] }
  })

const clip = fc
  .tuple(shapes({ minLength: 0, maxLength: 3 }), seeds, fc.boolean(), fc.boolean())
  .map(([shape, seed, low, high]): NodeCase => {
    const bound = (value: number): TensorValue => ({
      type: 'float32',
      shape: [],
      data: Float32Array.of(value),
    })
    const [x] = tensors([shape], seed, { low: -2, high: 2, kinks: [-0.75, 0.5] })
    return {
      op: 'Clip',
      inputs: [x, low ? bound(-0.75) : undefined, high ? bound(0.5) : undefined],
      learning: [0],
    }
  })

const broadcasting: Family = {
  name: 'operators that broadcast',
  cases: fc.oneof(
    { weight: 4, arbitrary: binary },
    { weight: 2, arbitrary: many },
    where,
    pRelu,
    exponents,
    clip,
  ),
}

export const elementwise: readonly Family[] = [unary, broadcasting]
