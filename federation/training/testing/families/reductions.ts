/*
 * Reductions over any axes, running sums, softmax and layer normalisation.
 */
import fc from 'fast-check'

import { float, int, type TensorValue } from '../../graph.ts'
import {
  axisOf,
  type Family,
  integers,
  type NodeCase,
  POSITIVE,
  seeds,
  shapes,
  someAxes,
  tensors,
  USUAL,
} from '../node-case.ts'

const OPS = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'].map(
  (name) => `Reduce${name}`,
)

const reduction = fc
  .tuple(fc.constantFrom(...OPS), shapes({ minLength: 1, maxLength: 4 }), fc.boolean(), seeds)
  .chain(([op, shape, keep, seed]) =>
    someAxes(shape.length).map((axes): NodeCase => {
      const inputs = tensors([shape], seed, op === 'ReduceLogSum' ? POSITIVE : USUAL)
      const attributes = { keepdims: int(keep ? 1 : 0) }
      return { op, inputs: axes.length > 0 ? [...inputs, integers(axes)] : inputs, learning: [0], attributes }
    }),
  )

const cumulative = fc
  .tuple(shapes({ minLength: 1, maxLength: 3 }), fc.boolean(), fc.boolean(), seeds)
  .chain(([shape, exclusive, reverse, seed]) =>
    axisOf(shape.length).map((axis): NodeCase => ({
      op: 'CumSum',
      inputs: [...tensors([shape], seed), integers([axis], [])],
      learning: [0],
      attributes: { exclusive: int(exclusive ? 1 : 0), reverse: int(reverse ? 1 : 0) },
    })),
  )

const softmax = fc
  .tuple(fc.constantFrom('Softmax', 'LogSoftmax'), shapes({ minLength: 1, maxLength: 4 }), seeds)
  .chain(([op, shape, seed]) =>
    axisOf(shape.length).map((axis): NodeCase => ({
      op,
      inputs: tensors([shape], seed),
      learning: [0],
      attributes: { axis: int(axis) },
    })),
  )

const layer = fc
  .tuple(
    fc.constantFrom('LayerNormalization', 'RMSNormalization'),
    shapes({ minLength: 1, maxLength: 3 }),
    seeds,
    fc.boolean(),
  )
  .chain(([op, head, seed, bias]) => {
    const shape = [...head, 3]
    return axisOf(shape.length).map((axis): NodeCase => {
      const own = shape.slice(axis)
      const isLayer = op === 'LayerNormalization'
      const inputs = tensors(isLayer && bias ? [shape, own, own] : [shape, own], seed)
      return {
        op,
        inputs,
        learning: inputs.map((_, index) => index),
        attributes: { axis: int(axis), epsilon: float(1e-3) },
      }
    })
  })

const fixedStatistics = fc
  .tuple(shapes({ minLength: 2, maxLength: 4 }), seeds)
  .map(([shape, seed]): NodeCase => {
    const channels = [shape[1] ?? 1]
    const [mean, variance] = [...tensors([channels], seed), ...tensors([channels], seed, POSITIVE)] as [
      TensorValue,
      TensorValue,
    ]
    return {
      op: 'BatchNormalization',
      inputs: [...tensors([shape, channels, channels], seed), mean, variance],
      learning: [0, 1, 2],
    }
  })

export const reductions: readonly Family[] = [
  { name: 'reductions', cases: fc.oneof({ weight: 5, arbitrary: reduction }, cumulative) },
  { name: 'softmax', cases: softmax },
  { name: 'normalisation', cases: fc.oneof({ weight: 3, arbitrary: layer }, fixedStatistics) },
]
