/*
 * Mathematical functions of one number. Those that are constant between jumps have a gradient of zero, which is the
 * same as none.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Operator } from './operator.ts'
import { unary } from './unary.ts'

const square = (builder: GraphBuilder, value: string): string => builder.add('Mul', [value, value])

/** 2 / √π, the slope of Erf at 0. */
const ERF_SLOPE = 2 / Math.sqrt(Math.PI)

export const pointwise: Record<string, Operator> = {
  Neg: unary(({ dy, builder }) => builder.add('Neg', [dy])),
  Abs: unary(({ dy, x, builder }) => builder.add('Mul', [dy, builder.add('Sign', [x])])),
  Exp: unary(({ dy, y, builder }) => builder.add('Mul', [dy, y])),
  Log: unary(({ dy, x, builder }) => builder.add('Div', [dy, x])),
  Sqrt: unary(({ dy, y, builder }) => {
    const half = builder.add('Mul', [dy, builder.scalar(0.5)])
    return builder.add('Div', [half, y])
  }),
  Reciprocal: unary(({ dy, y, builder }) => {
    return builder.add('Neg', [builder.add('Mul', [dy, square(builder, y)])])
  }),
  Erf: unary(({ dy, x, builder }) => {
    const bell = builder.add('Exp', [builder.add('Neg', [square(builder, x)])])
    return builder.add('Mul', [dy, builder.add('Mul', [bell, builder.scalar(ERF_SLOPE)])])
  }),
  Sin: unary(({ dy, x, builder }) => builder.add('Mul', [dy, builder.add('Cos', [x])])),
  Cos: unary(({ dy, x, builder }) => {
    return builder.add('Neg', [builder.add('Mul', [dy, builder.add('Sin', [x])])])
  }),
}
