/*
 * Resize by nearest neighbour or linear interpolation, along any axes. Every output position is a weighted sum of
 * input positions, axis by axis, so each axis is a matrix that is known at compile time; gradients go back through
 * its transpose. The weights follow the operator's standard, as the runtime applies it.
 */
import type { Shape } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { describeNode, floatTensor, int, intOf, intsOf, type Node, stringOf } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { emitInstead, type Emitter, input, type Operator, output, positiveAxis } from './operator.ts'
import { at } from './window.ts'

const MODES = ['nearest', 'linear']

const resize: Operator = {
  refuse: (node) => {
    const mode = stringOf(node, 'mode', 'nearest')
    if (!MODES.includes(mode)) return `its mode is ${mode}; supported are ${MODES.join(' and ')}`
    const coordinates = coordinatesOf(node)
    if (!COORDINATES.has(coordinates)) {
      const known = [...COORDINATES.keys()].join(', ')
      return `its coordinate_transformation_mode is ${coordinates}; supported are ${known}`
    }
    if (intOf(node, 'antialias', 0) !== 0) return 'its antialias is 1; only 0 is supported'
    const policy = stringOf(node, 'keep_aspect_ratio_policy', 'stretch')
    return policy === 'stretch'
      ? undefined
      : `its keep_aspect_ratio_policy is ${policy}; only stretch is supported`
  },
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    const [x, y] = [shape(input(node, 0)), shape(output(node))]
    const bySize = input(node, 3) !== ''
    const [name, position] = bySize ? [input(node, 3), 3] : [input(node, 2), 2]
    const target = emitter.constant(name)
    if (!target) {
      const what = position === 3 ? 'sizes are' : 'scales are'
      throw new ModelError(`${describeNode(node)}: its ${what} computed from data; expected a constant`)
    }
    // No supported mode has a roi.
    const inputs = [input(node, 0), '', ...(bySize ? ['', name] : [name])]
    emitInstead(node, emitter, { op: 'Resize', inputs, attributes: node.attributes })
    const scales = x.map((size, axis) => at(y, axis) / size)
    if (!bySize) {
      const axes =
        intsOf(node, 'axes')?.map((axis) => positiveAxis(axis, x.length)) ?? x.map((_, axis) => axis)
      for (const [index, axis] of axes.entries()) scales[axis] = Number(target.data[index])
    }
    // Where no size changes the runtime hands the input on, whatever the scales say.
    const isCopied = x.every((size, axis) => size === at(y, axis))
    const resized = x.map((_, axis) => axis).filter((axis) => !isCopied && scales[axis] !== 1)
    return (dy) => [
      () => {
        const shapeNow = [...y]
        return resized.toReversed().reduce((gradient, axis) => {
          const sizes = { from: at(x, axis), to: at(y, axis), scale: at(scales, axis) }
          const weights = builder.constant(floatTensor(weightsOf(node, sizes), [sizes.from, sizes.to]))
          const shaped = [...shapeNow]
          shapeNow[axis] = sizes.from
          return alongAxis(emitter, { gradient, shape: shaped, axis, weights }, shapeNow)
        }, dy)
      },
    ]
  },
}

interface Along {
  gradient: string
  shape: Shape
  axis: number
  /** [inputs, outputs] */
  weights: string
}

function alongAxis({ builder }: Emitter, { gradient, shape, axis, weights }: Along, after: Shape): string {
  const outer = elementCount(shape.slice(0, axis))
  const inner = elementCount(shape.slice(axis + 1))
  if (inner === 1) {
    const rows = builder.reshape(gradient, [outer, at(shape, axis)])
    return builder.reshape(builder.add('Gemm', [rows, weights], { transB: int(1) }), after)
  }
  const columns = builder.reshape(gradient, [outer, at(shape, axis), inner])
  return builder.reshape(builder.add('MatMul', [weights, columns]), after)
}

interface Sizes {
  from: number
  to: number
  scale: number
}

/** [inputs, outputs], row by row: how much of each input position is in each output position. */
function weightsOf(node: Node, sizes: Sizes): Float32Array {
  const weights = new Float32Array(sizes.from * sizes.to)
  const add = (from: number, to: number, weight: number): void => {
    const index = from * sizes.to + to
    weights[index] = (weights[index] ?? 0) + weight
  }
  const coordinate = COORDINATES.get(coordinatesOf(node))
  const last = sizes.from - 1
  for (let to = 0; to < sizes.to; to++) {
    const position = coordinate?.(to, sizes) ?? 0
    if (stringOf(node, 'mode', 'nearest') === 'nearest') {
      add(clamp(nearestOf(node)(position), last), to, 1)
    } else {
      const inside = clamp(position, last)
      const lower = Math.floor(inside)
      add(lower, to, 1 - (inside - lower))
      if (lower < last) add(lower + 1, to, inside - lower)
    }
  }
  return weights
}

function clamp(position: number, last: number): number {
  return Math.min(Math.max(position, 0), last)
}

type Coordinate = (to: number, sizes: Sizes) => number

/** Rounded to float32 at every step, as the runtime computes them: it decides which side of a tie is nearest. */
const halfPixel: Coordinate = (to, { scale }) =>
  Math.fround(Math.fround((to + 0.5) / Math.fround(scale)) - 0.5)

const COORDINATES: ReadonlyMap<string, Coordinate> = new Map<string, Coordinate>([
  ['half_pixel', halfPixel],
  ['pytorch_half_pixel', (to, sizes) => (sizes.to > 1 ? halfPixel(to, sizes) : 0)],
  ['asymmetric', (to, { scale }) => Math.fround(to / Math.fround(scale))],
  ['align_corners', (to, { from, to: size }) => (size > 1 ? Math.fround((to * (from - 1)) / (size - 1)) : 0)],
])

function coordinatesOf(node: Node): string {
  return stringOf(node, 'coordinate_transformation_mode', 'half_pixel')
}

function nearestOf(node: Node): (position: number) => number {
  const mode = stringOf(node, 'nearest_mode', 'round_prefer_floor')
  if (mode === 'floor') return Math.floor
  if (mode === 'ceil') return Math.ceil
  if (mode === 'round_prefer_ceil') return (position) => Math.floor(position + 0.5)
  return (position) => Math.ceil(position - 0.5)
}

export const resizing: Record<string, Operator> = { Resize: resize }
