/*
 * The gradient of a convolution's weight, in one of two ways. With few channels: a convolution of the input with
 * the output's gradient, batch and channels exchanged, stride and dilation exchanged. With more, matrix products
 * are faster: one for each row of the kernel, over the input's values that meet that row, laid out side by side.
 */
import type { Shape } from '../builder.ts'
import { type Attributes, int, ints, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { type Emitter, input } from './operator.ts'
import { allBut, at, type Window } from './window.ts'

export interface Convolution {
  node: Node
  emitter: Emitter
  window: Window
  x: Shape
  w: Shape
  y: Shape
}

/** Where the two ways cost the same, measured with kernels of 3 and 5. */
const FEW_CHANNELS = 8

export function gradientOfWeight(convolution: Convolution, dy: string): string {
  return at(convolution.w, 1) < FEW_CHANNELS ? byConvolution(convolution, dy) : byProducts(convolution, dy)
}

function byConvolution({ node, emitter, window, x, w, y }: Convolution, dy: string): string {
  const { builder } = emitter
  const swap: Attributes = { perm: ints([1, 0, ...allBut(0, x.length - 1).map((axis) => axis + 1)]) }
  const data = builder.add('Transpose', [input(node, 0)], swap)
  const kernel = builder.add('Transpose', [dy], swap)
  const after = window.kernel.map((size, axis) => {
    const covered =
      (size - 1) * at(window.dilations, axis) + (at(y, axis + 2) - 1) * at(window.strides, axis) + 1
    return Math.max(0, covered - at(x, axis + 2) - at(window.before, axis))
  })
  const gradient = builder.add('Conv', [data, kernel], {
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints([...window.before, ...after]),
  })
  return builder.add('Transpose', [cropped(emitter, gradient, w.slice(2))], swap)
}

/** Input that the windows did not reach at the end can give more positions than the kernel has. */
function cropped({ builder }: Emitter, gradient: string, kernel: Shape): string {
  const axes = kernel.map((_, axis) => axis + 2)
  const starts = builder.int64(axes.map(() => 0))
  return builder.add('Slice', [gradient, starts, builder.int64(kernel), builder.int64(axes)])
}

/** Axes: batch, spatial dimensions, channels. */
function byProducts(convolution: Convolution, dy: string): string {
  const { emitter, window, w, y } = convolution
  const { builder } = emitter
  const [outputs = 1, channels = 1] = w
  const rows = elementCount(y) / outputs
  const columns = at(window.kernel, window.kernel.length - 1)
  const patches = sideBySide(convolution, paddedChannelsLast(convolution))
  const gradient = builder.reshape(channelsLast(emitter, dy, y.length), [rows, outputs])
  const kernelRows = window.kernel.length === 1 ? [patches] : tapsAlong(convolution, patches, 0)
  const products = kernelRows.map((patch) => {
    const flat = builder.reshape(patch, [rows, columns * channels])
    return builder.add('Gemm', [gradient, flat], { transA: int(1) })
  })
  const whole = concat(emitter, products, 1)
  const shaped = builder.reshape(whole, [outputs, ...window.kernel, channels])
  const last = w.length - 1
  return builder.add('Transpose', [shaped], {
    perm: ints([0, last, ...window.kernel.map((_, axis) => axis + 1)]),
  })
}

function channelsLast({ builder }: Emitter, value: string, rank: number): string {
  const spatial = Array.from({ length: rank - 2 }, (_, axis) => axis + 2)
  return builder.add('Transpose', [value], { perm: ints([0, ...spatial, 1]) })
}

function paddedChannelsLast({ node, emitter, window, x }: Convolution): string {
  const { builder } = emitter
  const data = channelsLast(emitter, input(node, 0), x.length)
  const pads = [0, ...window.before, 0, 0, ...window.after, 0]
  return pads.every((size) => size === 0) ? data : builder.add('Pad', [data, builder.int64(pads)])
}

/** For each position of the last spatial dimension, the values that the kernel's columns meet there. */
function sideBySide(convolution: Convolution, data: string): string {
  const last = convolution.window.kernel.length - 1
  return concat(convolution.emitter, tapsAlong(convolution, data, last), last + 2)
}

/** For each element of the kernel along a spatial dimension, the values that it meets, window after window. */
function tapsAlong(
  { emitter: { builder }, window, y }: Convolution,
  data: string,
  dimension: number,
): string[] {
  const [stride, dilation] = [at(window.strides, dimension), at(window.dilations, dimension)]
  const reach = (at(y, dimension + 2) - 1) * stride + 1
  return Array.from({ length: at(window.kernel, dimension) }, (_, tap) => {
    const start = tap * dilation
    const bounds = [start, start + reach, dimension + 1, stride].map((value) => builder.int64([value]))
    return builder.add('Slice', [data, ...bounds])
  })
}

function concat({ builder }: Emitter, values: readonly string[], axis: number): string {
  const [only] = values
  return values.length === 1 && only !== undefined ? only : builder.add('Concat', values, { axis: int(axis) })
}
