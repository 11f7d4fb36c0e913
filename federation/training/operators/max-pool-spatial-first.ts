/*
 * MaxPool over windows that lie side by side, with the spatial dimensions first: the maximum of as many slices as a
 * window has elements. Backwards each slice in turn takes the gradient where it holds the maximum and no earlier one
 * did, so that the first of equal maxima gets it, as the runtime's own indices would say.
 */
import type { Shape } from '../builder.ts'
import type { Node } from '../graph.ts'
import { type Backward, type Emitter, input } from './operator.ts'
import { batchFirst, concat, emitBatchFirst, slice, spatialFirst } from './spatial-first.ts'
import { at, type Window } from './window.ts'

/** Windows next to one another that cover the whole of a two-dimensional input, and are small. */
export function liesSideBySide({ kernel, strides, dilations, before, after }: Window, x: Shape): boolean {
  const covers = kernel.every((size, axis) => size === at(strides, axis) && at(x, axis + 2) % size === 0)
  const plain = [...before, ...after].every((size) => size === 0) && dilations.every((each) => each === 1)
  return x.length === 4 && covers && plain && at(kernel, 0) * at(kernel, 1) <= 9
}

export function emitSideBySide(node: Node, emitter: Emitter, window: Window): Backward {
  const { builder } = emitter
  const [batch = 1, channels = 1, height = 1, width = 1] = emitter.shape(input(node, 0))
  const [rows = 1, columns = 1] = window.kernel
  const x = spatialFirst(builder, input(node, 0))
  const elements = Array.from({ length: rows * columns }, (_, index) =>
    slice(builder, x, {
      starts: [Math.floor(index / columns), index % columns],
      ends: [height, width],
      axes: [0, 1],
      steps: [rows, columns],
    }),
  )
  const y = builder.add('Max', elements)
  emitBatchFirst(node, emitter, y)
  return (dy) => [
    () => {
      const parts = shared(emitter, { elements, y }, spatialFirst(builder, dy))
      const pooled = [height / rows, width / columns]
      const lines = Array.from({ length: rows }, (_, row) => {
        const line = parts.slice(row * columns, (row + 1) * columns)
        const each = line.map((part) => builder.reshape(part, [...pooled, 1, batch * channels]))
        return builder.reshape(concat(builder, each, 2), [at(pooled, 0), 1, width, batch * channels])
      })
      return batchFirst(builder, builder.reshape(concat(builder, lines, 1), [height, width, batch, channels]))
    },
  ]
}

/** The gradient's share for each element of the windows. */
function shared(
  { builder }: Emitter,
  { elements, y }: { elements: readonly string[]; y: string },
  dy: string,
): string[] {
  const zero = builder.scalar(0)
  let rest = dy
  return elements.map((element, index) => {
    if (index === elements.length - 1) return rest
    const part = builder.add('Where', [builder.add('Equal', [element, y]), rest, zero])
    rest = builder.add('Sub', [rest, part])
    return part
  })
}
