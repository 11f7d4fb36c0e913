/*
 * Operators that pick elements by computed or constant indices, such as the rows of an embedding's table, and those
 * that put elements in place. An element that was picked more than once gets the sum of the gradients.
 */
import type { Shape } from '../builder.ts'
import { int, int64Tensor, intOf, type Node, stringOf } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { emitAsIs, type Emitter, input, type Operator, output, positiveAxis } from './operator.ts'
import { scatterRows, zerosLike } from './zeros.ts'

const gather: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const x = shape(input(node, 0))
    const axis = positiveAxis(intOf(node, 'axis', 0), x.length)
    const count = elementCount(shape(input(node, 1)))
    const [before, after] = [elementCount(x.slice(0, axis)), elementCount(x.slice(axis + 1))]
    return (dy) => [
      () => {
        const rows = {
          name: builder.reshape(dy, [before, count, after]),
          shape: [before, count, after] as const,
        }
        const indices = { name: int64Indices(node, emitter), perBatch: false }
        return builder.reshape(scatterRows(builder, rows, indices, x[axis] ?? 1), x)
      },
    ]
  },
}

function int64Indices(node: Node, { builder, type }: Emitter): string {
  const indices = input(node, 1)
  return type(indices) === 'int64' ? indices : builder.cast(indices, 'int64')
}

const gatherElements: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const x = shape(input(node, 0))
    const axis = int(positiveAxis(intOf(node, 'axis', 0), x.length))
    return (dy) => [
      () => {
        const inputs = [zerosLike(builder, x), input(node, 1), dy]
        return builder.add('ScatterElements', inputs, { axis, reduction: { kind: 'string', value: 'add' } })
      },
    ]
  },
}

const gatherND: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const x = shape(input(node, 0))
    const indices = shape(input(node, 1))
    const batchDims = intOf(node, 'batch_dims', 0)
    const picked = indices.at(-1) ?? 1
    const before = elementCount(x.slice(0, batchDims))
    const after = elementCount(x.slice(batchDims + picked))
    const count = elementCount(indices.slice(batchDims, -1))
    const sizes = x.slice(batchDims, batchDims + picked)
    return (dy) => [
      () => {
        const rows = {
          name: builder.reshape(dy, [before, count, after]),
          shape: [before, count, after] as const,
        }
        const linear = { name: linearIndices(emitter, input(node, 1), sizes), perBatch: true }
        return builder.reshape(scatterRows(builder, rows, linear, elementCount(sizes)), x)
      },
    ]
  },
}

/** Positions in a row-major array of these sizes, from index tuples in the last axis, of which some may be negative. */
function linearIndices({ builder }: Emitter, indices: string, sizes: Shape): string {
  const known = builder.constant(int64Tensor(sizes))
  const isNegative = builder.add('Less', [indices, builder.constant(int64Tensor([0], []))])
  const positive = builder.add('Where', [isNegative, builder.add('Add', [indices, known]), indices])
  const strides = sizes.map((_, axis) => elementCount(sizes.slice(axis + 1)))
  const parts = builder.add('Mul', [positive, builder.constant(int64Tensor(strides))])
  return builder.reduceSum(parts, [-1], false)
}

/** Elements of the first input are replaced by those of the third; each place at most once. */
function scatter(op: 'ScatterElements' | 'ScatterND', picking: 'GatherElements' | 'GatherND'): Operator {
  return {
    refuse: (node) => {
      const reduction = stringOf(node, 'reduction', 'none')
      return reduction === 'none' ? undefined : `its reduction is ${reduction}; only none is supported`
    },
    emit: (node, emitter) => {
      emitAsIs(node, emitter)
      const { builder, shape } = emitter
      const [indices, updates] = [input(node, 1), input(node, 2)]
      const axis = positiveAxis(intOf(node, 'axis', 0), shape(output(node)).length)
      const attributes = op === 'ScatterElements' ? { axis: int(axis) } : {}
      return (dy) => [
        () => builder.add(op, [dy, indices, zerosLike(builder, shape(updates))], attributes),
        undefined,
        () => builder.add(picking, [dy, indices], attributes),
      ]
    },
  }
}

export const gathers: Record<string, Operator> = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter('ScatterElements', 'GatherElements'),
  ScatterND: scatter('ScatterND', 'GatherND'),
}
