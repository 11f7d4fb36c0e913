/*
 * MatMul, Gemm and Einsum.
 */
import fc from 'fast-check'

import { float, int, type TensorValue } from '../../graph.ts'
import { type Family, type NodeCase, seeds, tensors } from '../node-case.ts'

const size = fc.integer({ min: 1, max: 3 })

/** Leading dimensions that broadcast. */
const leading = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.constantFrom('both', 'left', 'right')), {
  maxLength: 2,
})

const matMul = fc
  .tuple(leading, size, size, size, fc.constantFrom('matrices', 'row', 'column', 'vectors'), seeds)
  .map(([dimensions, rows, inner, columns, kind, seed]): NodeCase => {
    const side = (name: string): number[] =>
      dimensions.map(([count, on]) => (on === 'both' || on === name ? count : 1))
    const left = kind === 'row' || kind === 'vectors' ? [inner] : [...side('left'), rows, inner]
    const right = kind === 'column' || kind === 'vectors' ? [inner] : [...side('right'), inner, columns]
    return { op: 'MatMul', inputs: tensors([left, right], seed), learning: [0, 1] }
  })

const gemm = fc
  .tuple(size, size, size, fc.boolean(), fc.boolean(), fc.nat(4), seeds)
  .map(([rows, inner, columns, transA, transB, bias, seed]): NodeCase => {
    const a = transA ? [inner, rows] : [rows, inner]
    const b = transB ? [columns, inner] : [inner, columns]
    const c = [undefined, [columns], [], [rows, 1], [rows, columns]][bias]
    const inputs = tensors(c ? [a, b, c] : [a, b], seed)
    return {
      op: 'Gemm',
      inputs,
      learning: inputs.map((_, index) => index),
      attributes: {
        transA: int(transA ? 1 : 0),
        transB: int(transB ? 1 : 0),
        alpha: float(0.5),
        beta: float(1.5),
      },
    }
  })

const LABELS = ['a', 'b', 'c', 'd']

const einsum = fc
  .tuple(
    fc.array(size, { minLength: 4, maxLength: 4 }),
    fc.array(fc.shuffledSubarray(LABELS, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 }),
    fc.shuffledSubarray(LABELS),
    seeds,
  )
  .map(([sizes, operands, wanted, seed]): NodeCase => {
    const output = wanted.filter((label) => operands.flat().includes(label)).join('')
    const shapes = operands.map((labels) => labels.map((label) => sizes[LABELS.indexOf(label)] ?? 1))
    const inputs: TensorValue[] = tensors(shapes, seed)
    const value = `${operands.map((labels) => labels.join('')).join(',')}->${output}`
    return {
      op: 'Einsum',
      inputs,
      learning: inputs.map((_, index) => index),
      attributes: { equation: { kind: 'string', value } },
    }
  })

export const products: readonly Family[] = [
  { name: 'matrix products', cases: fc.oneof(matMul, gemm) },
  { name: 'Einsum', cases: einsum },
]
