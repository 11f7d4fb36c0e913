/*
 * Operators that move elements: to other shapes, in parts, repeated, padded, in blocks.
 */
import fc from 'fast-check'

import { int, ints, type TensorValue } from '../../graph.ts'
import { elementCount } from '../../manifest.ts'
import {
  axisOf,
  type Family,
  integers,
  type NodeCase,
  seeds,
  shapes,
  someAxes,
  tensors,
} from '../node-case.ts'

const shaped = fc.tuple(shapes({ minLength: 1, maxLength: 3 }), seeds)

function moving(
  op: string,
  inputs: (TensorValue | undefined)[],
  attributes: NodeCase['attributes'] = {},
): NodeCase {
  return { op, inputs, learning: [0], attributes }
}

const reshape = shaped.map(([shape, seed]) =>
  moving('Reshape', [...tensors([shape], seed), integers([1, elementCount(shape)])]),
)

const flatten = shaped.chain(([shape, seed]) =>
  fc
    .integer({ min: 0, max: shape.length })
    .map((axis) => moving('Flatten', tensors([shape], seed), { axis: int(axis) })),
)

const squeeze = shaped.map(([shape, seed]) =>
  moving('Squeeze', [...tensors([[...shape, 1]], seed), integers([-1])]),
)

const unsqueeze = shaped.chain(([shape, seed]) =>
  axisOf(shape.length + 1).map((axis) => moving('Unsqueeze', [...tensors([shape], seed), integers([axis])])),
)

const transpose = shaped.chain(([shape, seed]) => {
  const axes = shape.map((_, axis) => axis)
  return fc
    .shuffledSubarray(axes, { minLength: axes.length })
    .map((perm) => moving('Transpose', tensors([shape], seed), { perm: ints(perm) }))
})

const concat = fc
  .tuple(shaped, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }))
  .chain(([[shape, seed], sizes]) =>
    axisOf(shape.length).map((axis): NodeCase => {
      const from = axis < 0 ? axis + shape.length : axis
      const inputs = tensors(
        sizes.map((size) => shape.with(from, size)),
        seed,
      )
      return {
        op: 'Concat',
        inputs,
        learning: inputs.map((_, index) => index),
        attributes: { axis: int(axis) },
      }
    }),
  )

const expand = fc
  .tuple(shaped, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), fc.integer({ min: 1, max: 2 }))
  .map(([[shape, seed], ones, more]) => {
    const given = shape.map((size, axis) => (ones[axis] ? 1 : size))
    return moving('Expand', [...tensors([given], seed), integers([more, ...shape])])
  })

const tile = shaped.chain(([shape, seed]) =>
  fc
    .array(fc.integer({ min: 1, max: 3 }), { minLength: shape.length, maxLength: shape.length })
    .map((repeats) => moving('Tile', [...tensors([shape], seed), integers(repeats)])),
)

const trilu = fc
  .tuple(shapes({ minLength: 2, maxLength: 3 }), seeds, fc.integer({ min: -3, max: 3 }), fc.boolean())
  .map(([shape, seed, k, upper]) =>
    moving('Trilu', [...tensors([shape], seed), integers([k], [])], { upper: int(upper ? 1 : 0) }),
  )

const depth = fc
  .tuple(
    fc.constantFrom('DCR', 'CRD', 'back'),
    fc.integer({ min: 1, max: 2 }),
    fc.integer({ min: 1, max: 2 }),
    seeds,
  )
  .map(([mode, height, width, seed]) => {
    if (mode === 'back')
      return moving('SpaceToDepth', tensors([[1, 1, 2 * height, 2 * width]], seed), { blocksize: int(2) })
    const attributes = { blocksize: int(2), mode: { kind: 'string', value: mode } as const }
    return moving('DepthToSpace', tensors([[1, 4, height, width]], seed), attributes)
  })

/** A slice along one axis that is not empty. */
const oneSlice = (size: number): fc.Arbitrary<{ start: number; end: number; step: number }> =>
  fc
    .record({
      start: fc.integer({ min: -size - 1, max: size - 1 }),
      end: fc.integer({ min: -size - 2, max: size + 2 }),
      step: fc.constantFrom(1, 2, 3, -1, -2),
    })
    .filter(({ start, end, step }) => sliceLength(size, start, end, step) > 0)

function sliceLength(size: number, start: number, end: number, step: number): number {
  const low = step < 0 ? -1 : 0
  const high = step < 0 ? size - 1 : size
  const at = (value: number, least: number): number =>
    Math.min(Math.max(value < 0 ? value + size : value, least), high)
  return Math.ceil((at(end, low) - at(start, 0)) / step)
}

const slice = shaped.chain(([shape, seed]) =>
  someAxes(shape.length)
    .filter((axes) => axes.length > 0)
    .chain((axes) =>
      fc.tuple(fc.constant(axes), fc.tuple(...axes.map((axis) => oneSlice(shape.at(axis) ?? 1)))),
    )
    .map(([axes, parts]) => {
      const bounds = [
        parts.map(({ start }) => start),
        parts.map(({ end }) => end),
        axes,
        parts.map(({ step }) => step),
      ]
      return moving('Slice', [...tensors([shape], seed), ...bounds.map((values) => integers(values))])
    }),
)

const split = fc
  .tuple(shaped, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }))
  .chain(([[shape, seed], sizes]) =>
    axisOf(shape.length).map((axis): NodeCase => {
      const from = axis < 0 ? axis + shape.length : axis
      const total = sizes.reduce((sum, size) => sum + size, 0)
      const inputs = [...tensors([shape.with(from, total)], seed), integers(sizes)]
      return { ...moving('Split', inputs, { axis: int(axis) }), outputs: sizes.length }
    }),
  )

const pad = fc
  .tuple(shaped, fc.constantFrom('constant', 'reflect', 'edge', 'wrap'))
  .chain(([[shape, seed], mode]) => {
    // A mirror has no room for more than the axis but one.
    const most = (axis: number): number =>
      mode === 'constant' || mode === 'edge' ? 2 : (shape[axis] ?? 1) - 1
    const least = mode === 'constant' ? 0 : 0
    const side = (axis: number): fc.Arbitrary<number> =>
      fc.integer({ min: least, max: Math.max(0, Math.min(2, most(axis))) })
    const sides = [...shape, ...shape].map((_, index) => side(index % shape.length))
    return fc
      .tuple(...sides)
      .map((pads) =>
        moving('Pad', [...tensors([shape], seed), integers(pads)], { mode: { kind: 'string', value: mode } }),
      )
  })

export const movers: readonly Family[] = [
  {
    name: 'shapes',
    cases: fc.oneof(reshape, flatten, squeeze, unsqueeze, transpose, concat, expand, tile, trilu, depth),
  },
  { name: 'slices and padding', cases: fc.oneof({ weight: 2, arbitrary: slice }, split, pad) },
]
