/*
 * Pad in all its modes. The gradient of what constants were put around is what lies inside; values that were repeated
 * from the edge, mirrored or wrapped get the sum of their copies.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int64Tensor, type Node, stringOf } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { integersOf } from './constants.ts'
import { emitAsIs, type Emitter, input, type Operator, output, positiveAxis } from './operator.ts'
import { scatterRows } from './zeros.ts'

const pad: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [x, y] = [shape(input(node, 0)), shape(output(node))]
    const before = padsBefore(node, emitter, x.length)
    const mode = stringOf(node, 'mode', 'constant')
    const padding = { mode, x, y, before }
    return (dy) => [() => (mode === 'constant' ? inside(builder, dy, padding) : copies(builder, dy, padding))]
  },
}

interface Padding {
  mode: string
  x: Shape
  y: Shape
  before: readonly number[]
}

/** Padding before each axis; negative numbers crop. */
function padsBefore(node: Node, emitter: Emitter, rank: number): number[] {
  const pads = integersOf(node, 1, { emitter, what: 'pads' }) ?? []
  const axes =
    integersOf(node, 3, { emitter, what: 'axes' }) ?? Array.from({ length: rank }, (_, axis) => axis)
  const before = Array<number>(rank).fill(0)
  for (const [index, axis] of axes.entries()) before[positiveAxis(axis, rank)] = pads[index] ?? 0
  return before
}

/** Padding the other way round: what was added is cropped, what was cropped gets zeros. */
function inside(builder: GraphBuilder, dy: string, { x, y, before }: Padding): string {
  const after = x.map((size, axis) => (y[axis] ?? 0) - size - (before[axis] ?? 0))
  const pads = [...before, ...after].map((size) => (size === 0 ? 0 : -size))
  return builder.add('Pad', [dy, builder.int64(pads)])
}

/** Sums of copies, axis after axis. */
function copies(builder: GraphBuilder, dy: string, { mode, x, y, before }: Padding): string {
  let [value, shape] = [dy, y]
  for (const [axis, size] of x.entries()) {
    if (before[axis] === 0 && y[axis] === size) continue
    const sources = sourcesOf(mode, { size, count: y[axis] ?? 0, before: before[axis] ?? 0 })
    value = summed(builder, value, { shape, axis, size, sources })
    shape = shape.with(axis, size)
  }
  return value
}

interface Line {
  size: number
  count: number
  before: number
}

/** For each position of the output, the input's position that it shows. */
function sourcesOf(mode: string, { size, count, before }: Line): number[] {
  const period = mode === 'wrap' ? size : 2 * (size - 1)
  return Array.from({ length: count }, (_, position) => {
    const at = position - before
    if (mode === 'edge') return Math.min(Math.max(at, 0), size - 1)
    if (period === 0) return 0
    const turned = ((at % period) + period) % period
    return turned < size ? turned : period - turned
  })
}

function summed(
  builder: GraphBuilder,
  dy: string,
  { shape, axis, size, sources }: { shape: Shape; axis: number; size: number; sources: number[] },
): string {
  const [before, after] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis + 1))]
  const rows = builder.reshape(dy, [before, sources.length, after])
  const indices = builder.constant(int64Tensor(sources))
  const sums = scatterRows(
    builder,
    { name: rows, shape: [before, sources.length, after] },
    { name: indices, perBatch: false },
    size,
  )
  return builder.reshape(sums, shape.with(axis, size))
}

export const pads: Record<string, Operator> = { Pad: pad }
