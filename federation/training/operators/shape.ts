/*
 * Operators that move elements and change none. Sizes are fixed in a compiled graph, so Reshape, Flatten,
 * Squeeze and Unsqueeze all become a Reshape to a constant shape, whatever computed it in the user's graph.
 */
import { intOf, ints, intsOf } from '../graph.ts'
import { emitAsIs, emitInstead, input, type Operator, output, positiveAxis } from './operator.ts'

const reshape: Operator = {
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    const x = input(node, 0)
    const target = shape(output(node))
    emitInstead(node, emitter, { op: 'Reshape', inputs: [x, builder.int64(target)], attributes: {} })
    return (dy) => [() => builder.reshape(dy, shape(x))]
  },
}

const transpose: Operator = {
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    emitAsIs(node, emitter)
    const rank = shape(input(node, 0)).length
    const perm = intsOf(node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
    const inverse = perm.map((_, axis) => perm.indexOf(axis))
    return (dy) => [() => builder.add('Transpose', [dy], { perm: ints(inverse) })]
  },
}

const concat: Operator = {
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    emitAsIs(node, emitter)
    const axis = positiveAxis(intOf(node, 'axis', 0), shape(output(node)).length)
    const sizes = node.inputs.map((name) => shape(name)[axis] ?? 0)
    const starts = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0))
    return (dy) =>
      sizes.map((size, index) => () => {
        const start = starts[index] ?? 0
        const bounds = [[start], [start + size], [axis]].map((values) => builder.int64(values))
        return builder.add('Slice', [dy, ...bounds])
      })
  },
}

export const shape: Record<string, Operator> = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
}
