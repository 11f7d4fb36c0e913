/*
 * Slice with any steps, and Split. The gradient puts what was taken back in its place, among zeros.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int, intOf, type Node } from '../graph.ts'
import { integersOf } from './constants.ts'
import { emitAsIs, type Emitter, input, type Operator, output, positiveAxis } from './operator.ts'
import { zerosLike } from './zeros.ts'

/** What is taken along one axis: elements first, first + step, …; `step` is positive, or the order is reversed. */
interface Taken {
  axis: number
  first: number
  step: number
  count: number
  reversed: boolean
}

const slice: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [x, y] = [shape(input(node, 0)), shape(output(node))]
    const taken = takenBy(node, emitter, { x, y })
    return (dy) => [() => putBack(builder, dy, { taken, from: y, to: x })]
  },
}

function takenBy(node: Node, emitter: Emitter, { x, y }: { x: Shape; y: Shape }): Taken[] {
  const numbers = (index: number, what: string): number[] | undefined =>
    integersOf(node, index, { emitter, what })
  const starts = numbers(1, 'starts') ?? []
  numbers(2, 'ends')
  const axes = numbers(3, 'axes') ?? starts.map((_, axis) => axis)
  const steps = numbers(4, 'steps') ?? starts.map(() => 1)
  return axes.map((given, index) => {
    const axis = positiveAxis(given, x.length)
    const [size, count] = [x[axis] ?? 0, y[axis] ?? 0]
    const step = steps[index] ?? 1
    const start = clampedStart(starts[index] ?? 0, size, step)
    const reversed = step < 0
    const first = reversed ? start + (count - 1) * step : start
    return { axis, first, step: Math.abs(step), count, reversed }
  })
}

function clampedStart(start: number, size: number, step: number): number {
  const counted = start < 0 ? start + size : start
  return Math.min(Math.max(counted, 0), step < 0 ? size - 1 : size)
}

function putBack(
  builder: GraphBuilder,
  dy: string,
  { taken, from, to }: { taken: readonly Taken[]; from: Shape; to: Shape },
): string {
  const reversed = taken.filter(({ reversed }) => reversed).map(({ axis }) => axis)
  const ordered = reversed.length === 0 ? dy : reversedAlong(builder, dy, reversed)
  const { value, shape } = apart(builder, ordered, { taken, shape: from })
  const before = to.map((_, axis) => taken.find((other) => other.axis === axis)?.first ?? 0)
  const after = to.map((size, axis) => size - (before[axis] ?? 0) - (shape[axis] ?? 0))
  const pads = [...before, ...after]
  return pads.every((size) => size === 0) ? value : builder.add('Pad', [value, builder.int64(pads)])
}

function reversedAlong(builder: GraphBuilder, value: string, axes: readonly number[]): string {
  const every = (number: number): string => builder.int64(axes.map(() => number))
  const [from, to] = [every(-1), every(-Number.MAX_SAFE_INTEGER)]
  return builder.add('Slice', [value, from, to, builder.int64(axes), every(-1)])
}

/** Puts step - 1 zeros between elements. */
function apart(
  builder: GraphBuilder,
  value: string,
  { taken, shape }: { taken: readonly Taken[]; shape: Shape },
): { value: string; shape: Shape } {
  const stepped = taken.filter(({ step, count }) => step > 1 && count > 1)
  return stepped.reduce(
    (now, { axis, step, count }) => {
      const alone = [...now.shape.slice(0, axis + 1), 1, ...now.shape.slice(axis + 1)]
      const pads = [...alone.map(() => 0), ...alone.map((_, index) => (index === axis + 1 ? step - 1 : 0))]
      const padded = builder.add('Pad', [builder.reshape(now.value, alone), builder.int64(pads)])
      const long = builder.reshape(padded, now.shape.with(axis, count * step))
      const covered = (count - 1) * step + 1
      const bounds = [0, covered, axis].map((number) => builder.int64([number]))
      return { value: builder.add('Slice', [long, ...bounds]), shape: now.shape.with(axis, covered) }
    },
    { value, shape },
  )
}

const split: Operator = {
  outputs: Infinity,
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    const x = shape(input(node, 0))
    const axis = positiveAxis(intOf(node, 'axis', 0), x.length)
    const sizes = sizesOf(node, emitter, x[axis] ?? 0)
    const outputs = node.outputs.map((name) => (name === '' ? builder.fresh('part') : name))
    const attributes = { axis: int(axis) }
    builder.append({ ...node, inputs: [input(node, 0), builder.int64(sizes)], outputs, attributes })
    return {
      ofOutputs: (dys) => [
        () => {
          const parts = sizes.map((size, index) => dys[index] ?? zerosLike(builder, x.with(axis, size)))
          return builder.add('Concat', parts, attributes)
        },
      ],
    }
  },
}

/** As given, or equal but for the last one, which may be smaller. */
function sizesOf(node: Node, emitter: Emitter, size: number): number[] {
  const given = integersOf(node, 1, { emitter, what: 'sizes' })
  if (given) return given
  const part = Math.ceil(size / node.outputs.length)
  return node.outputs.map((_, index) => Math.min(part, size - index * part))
}

export const slices: Record<string, Operator> = { Slice: slice, Split: split }
