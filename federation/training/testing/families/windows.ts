/*
 * Convolutions, transposed convolutions, pooling and resizing, over one and two spatial dimensions.
 */
import fc from 'fast-check'

import { type Attributes, floatTensor, int, ints } from '../../graph.ts'
import { type Family, type NodeCase, seeds, tensors } from '../node-case.ts'

/** One spatial dimension. */
const axis = fc.record({
  kernel: fc.integer({ min: 1, max: 3 }),
  extra: fc.integer({ min: 0, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  before: fc.integer({ min: 0, max: 2 }),
  after: fc.integer({ min: 0, max: 2 }),
})
type Axis = typeof axis extends fc.Arbitrary<infer T> ? T : never

const axes = fc.array(axis, { minLength: 1, maxLength: 2 })

/** As many positions as the kernel reaches over, and some. */
const sizeOf = ({ kernel, extra, dilation }: Axis): number => dilation * (kernel - 1) + 1 + extra

function windowOf(spatial: readonly Axis[]): Attributes {
  return {
    kernel_shape: ints(spatial.map(({ kernel }) => kernel)),
    strides: ints(spatial.map(({ stride }) => stride)),
    dilations: ints(spatial.map(({ dilation }) => dilation)),
    pads: ints([...spatial.map(({ before }) => before), ...spatial.map(({ after }) => after)]),
  }
}

const channels = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  inputs: fc.integer({ min: 1, max: 2 }),
  outputs: fc.integer({ min: 1, max: 2 }),
})

const convolutions = fc
  .tuple(channels, axes, fc.boolean(), seeds)
  .map(([{ batch, group, inputs, outputs }, spatial, bias, seed]): NodeCase => {
    const x = [batch, group * inputs, ...spatial.map(sizeOf)]
    const w = [group * outputs, inputs, ...spatial.map(({ kernel }) => kernel)]
    const values = tensors([x, w, ...(bias ? [[group * outputs]] : [])], seed)
    const attributes = { ...windowOf(spatial), group: int(group) }
    return { op: 'Conv', attributes, inputs: values, learning: values.map((_, index) => index) }
  })

/** Of whole blocks of channels; the data's gradient, of many elements, is another convolution of its own. */
const depthwise = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.tuple(axis, axis), seeds)
  .map(([batch, spatial, seed]): NodeCase => {
    const x = [batch, 16, ...spatial.map(sizeOf)]
    const w = [16, 1, ...spatial.map(({ kernel }) => kernel)]
    const attributes = { ...windowOf(spatial), group: int(16) }
    return { op: 'Conv', attributes, inputs: tensors([x, w], seed), learning: [1] }
  })

/** Channels and kernels at which convolutions have recipes of their own; Winograd's takes more elements than differences can. */
const shaped = fc.constantFrom(
  { group: 1, inputs: 1, outputs: 8, kernels: [5] },
  { group: 1, inputs: 2, outputs: 8, kernels: [5] },
  { group: 1, inputs: 8, outputs: 2, kernels: [1, 2] },
  { group: 2, inputs: 8, outputs: 1, kernels: [1, 2] },
)

const special = fc
  .tuple(shaped, fc.tuple(axis, axis), fc.nat(2), fc.boolean(), seeds)
  .map(([{ group, inputs, outputs, kernels }, drawn, size, bias, seed]): NodeCase => {
    const kernel = kernels[size % kernels.length] ?? 1
    const spatial = drawn.map((each) => ({
      ...each,
      kernel,
      extra: each.extra % 2,
      stride: 1 + (each.stride % 2),
    }))
    const x = [1, group * inputs, ...spatial.map(sizeOf)]
    const w = [group * outputs, inputs, kernel, kernel]
    const values = tensors([x, w, ...(bias ? [[group * outputs]] : [])], seed)
    const attributes = { ...windowOf(spatial), group: int(group) }
    return { op: 'Conv', attributes, inputs: values, learning: values.map((_, index) => index) }
  })

const transposed = fc
  .tuple(channels, axes, fc.boolean(), seeds)
  .map(([{ batch, group, inputs, outputs }, drawn, bias, seed]): NodeCase => {
    // Cutting off no more than there is.
    const spatial = drawn.map((each) => ({
      ...each,
      before: each.before && 1,
      after: 0,
      kernel: each.kernel + 1,
    }))
    const x = [batch, group * inputs, ...spatial.map(({ extra }) => extra + 1)]
    const w = [group * inputs, outputs, ...spatial.map(({ kernel }) => kernel)]
    const values = tensors([x, w, ...(bias ? [[group * outputs]] : [])], seed)
    const output_padding = ints(spatial.map(({ extra, stride }) => Math.min(extra, stride - 1)))
    const attributes = { ...windowOf(spatial), group: int(group), output_padding }
    return { op: 'ConvTranspose', attributes, inputs: values, learning: values.map((_, index) => index) }
  })

/** A last window that ceil_mode adds would begin behind the input, which is refused. */
function endsBehind(each: Axis): boolean {
  const { kernel, dilation, stride, before, after } = each
  const covered = sizeOf(each) + before + after - dilation * (kernel - 1) - 1
  return Math.ceil(covered / stride) * stride >= sizeOf(each) + before
}

const pools = fc
  .tuple(fc.constantFrom('MaxPool', 'AveragePool'), axes, fc.nat(1), fc.nat(1), seeds)
  .map(([op, drawn, ceil, include, seed]): NodeCase => {
    const spatial = drawn.map((each) => ({
      ...each,
      before: Math.min(each.before, each.kernel - 1),
      after: Math.min(each.after, each.kernel - 1),
    }))
    const attributes = {
      ...windowOf(spatial),
      ceil_mode: int(spatial.some(endsBehind) ? 0 : ceil),
      ...(op === 'AveragePool' && { count_include_pad: int(include) }),
    }
    return { op, attributes, inputs: tensors([[2, 2, ...spatial.map(sizeOf)]], seed), learning: [0] }
  })

const string = (value: string): { kind: 'string'; value: string } => ({ kind: 'string', value })

const resizes = fc
  .tuple(
    fc.constantFrom('nearest', 'linear'),
    fc.constantFrom('half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners'),
    fc.constantFrom('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
    fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 5 })),
    fc.tuple(fc.integer({ min: 4, max: 14 }), fc.integer({ min: 4, max: 14 })),
    seeds,
  )
  .map(([mode, coordinates, nearest, size, quarters, seed]): NodeCase => {
    const scales = floatTensor([1, 1, ...quarters.map((count) => count / 4)], [4])
    return {
      op: 'Resize',
      attributes: {
        mode: string(mode),
        coordinate_transformation_mode: string(coordinates),
        nearest_mode: string(nearest),
      },
      inputs: [...tensors([[1, 2, ...size]], seed), undefined, scales],
      learning: [0],
    }
  })

export const windows: readonly Family[] = [
  { name: 'convolutions', cases: convolutions },
  { name: 'depthwise convolutions', cases: depthwise },
  { name: 'convolutions of many channels or large kernels', cases: special },
  { name: 'transposed convolutions', cases: transposed },
  { name: 'pools', cases: pools },
  { name: 'resizing', cases: resizes },
]
