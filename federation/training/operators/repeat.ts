/*
 * Operators that repeat their input: Expand and Tile. The gradient is the sum over the copies.
 */
import { unbroadcast } from './broadcast.ts'
import { integersOf } from './constants.ts'
import { emitAsIs, emitInstead, input, type Operator, output } from './operator.ts'

const expand: Operator = {
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    const x = input(node, 0)
    const target = shape(output(node))
    emitInstead(node, emitter, { op: 'Expand', inputs: [x, builder.int64(target)], attributes: {} })
    return (dy) => [() => unbroadcast(builder, dy, target, shape(x))]
  },
}

const tile: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const x = shape(input(node, 0))
    const repeats = integersOf(node, 1, { emitter, what: 'repeats' }) ?? []
    return (dy) => [
      () => {
        // Each axis becomes its copies and itself.
        const split = x.flatMap((size, axis) =>
          (repeats[axis] ?? 1) === 1 ? [size] : [repeats[axis] ?? 1, size],
        )
        const copies = repeats.flatMap((count, axis) => {
          const before = repeats.slice(0, axis).filter((other) => other !== 1).length
          return count === 1 ? [] : [axis + before]
        })
        return copies.length === 0 ? dy : builder.reduceSum(builder.reshape(dy, split), copies, false)
      },
    ]
  },
}

export const repeat: Record<string, Operator> = { Expand: expand, Tile: tile }
