/*
 * MatMul with every rank and broadcasting of NumPy's matmul, and Gemm with all its attributes.
 */
import type { Shape } from '../builder.ts'
import { type Attributes, float, floatOf, int, intOf } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { broadcastShape, unbroadcast } from './broadcast.ts'
import { emitAsIs, type Emitter, input, type Operator, output } from './operator.ts'

const matMul: Operator = {
  emit: (node, emitter) => {
    const y = emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [a, b] = [input(node, 0), input(node, 1)]
    const shapes = asMatrices(shape(a), shape(b))
    /** A vector takes part as a matrix of one row or column; the gradient's shape follows. */
    const asMatrix = (value: string, now: Shape, want: Shape): string =>
      now.length === want.length ? value : builder.reshape(value, want)
    const matrix = (): { a: string; b: string } => ({
      a: asMatrix(a, shape(a), shapes.a),
      b: asMatrix(b, shape(b), shapes.b),
    })
    return (dy) => {
      const gradient = asMatrix(dy, shape(y), shapes.y)
      return [
        () => {
          const da = builder.add('MatMul', [gradient, transposed(emitter, matrix().b, shapes.b)])
          const full = [...shapes.y.slice(0, -2), ...shapes.a.slice(-2)]
          return asMatrix(unbroadcast(builder, da, full, shapes.a), shapes.a, shape(a))
        },
        () => {
          const db = gradientOfRight(emitter, { a: matrix().a, dy: gradient }, shapes)
          return asMatrix(db, shapes.b, shape(b))
        },
      ]
    }
  },
}

interface MatrixShapes {
  a: Shape
  b: Shape
  y: Shape
}

function asMatrices(a: Shape, b: Shape): MatrixShapes {
  const left = a.length === 1 ? [1, ...a] : a
  const right = b.length === 1 ? [...b, 1] : b
  const batch = broadcastShape(left.slice(0, -2), right.slice(0, -2))
  return { a: left, b: right, y: [...batch, ...left.slice(-2, -1), ...right.slice(-1)] }
}

function gradientOfRight(emitter: Emitter, values: { a: string; dy: string }, shapes: MatrixShapes): string {
  const { builder } = emitter
  if (shapes.b.length === 2) {
    // One product over all rows, instead of a product for each matrix of the batch and their sum.
    const rows = (shape: Shape): Shape => [elementCount(shape.slice(0, -1)), shape.at(-1) ?? 1]
    const flat = (value: string, shape: Shape): string =>
      shape.length === 2 ? value : builder.reshape(value, rows(shape))
    return builder.add('Gemm', [flat(values.a, shapes.a), flat(values.dy, shapes.y)], { transA: int(1) })
  }
  const db = builder.add('MatMul', [transposed(emitter, values.a, shapes.a), values.dy])
  const full = [...shapes.y.slice(0, -2), ...shapes.b.slice(-2)]
  return unbroadcast(builder, db, full, shapes.b)
}

function transposed({ builder }: Emitter, value: string, shape: Shape): string {
  const axes = shape.map((_, axis) => axis)
  const perm = [...axes.slice(0, -2), ...axes.slice(-2).reverse()]
  return builder.add('Transpose', [value], { perm: { kind: 'ints', value: perm } })
}

const gemm: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [a, b, c] = [input(node, 0), input(node, 1), input(node, 2)]
    const alpha = floatOf(node, 'alpha', 1)
    const beta = floatOf(node, 'beta', 1)
    const [transA, transB] = [intOf(node, 'transA', 0), intOf(node, 'transB', 0)]
    const product = (left: string, right: string, tA: number, tB: number): string => {
      const attributes: Attributes = { transA: int(tA), transB: int(tB), alpha: float(alpha) }
      return builder.add('Gemm', [left, right], attributes)
    }
    return (dy) => [
      () => (transA ? product(b, dy, transB, 1) : product(dy, b, 0, 1 - transB)),
      () => (transB ? product(dy, a, 1, transA) : product(a, dy, 1 - transA, 0)),
      c === ''
        ? undefined
        : () => {
            const scaled = beta === 1 ? dy : builder.add('Mul', [dy, builder.scalar(beta)])
            return unbroadcast(builder, scaled, shape(output(node)), shape(c))
          },
    ]
  },
}

export const matrix: Record<string, Operator> = { MatMul: matMul, Gemm: gemm }
