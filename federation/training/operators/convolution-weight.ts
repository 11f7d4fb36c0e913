/*
 * The gradient of a convolution's weight: for each element of the kernel ("tap") the products of the data that it
 * meets with the gradients of the windows, summed over windows and samples. In one of three ways:
 *   batch last    one product of matrices for each tap, with the batch as the last axis, where a tap's data
 *                 are long runs of memory
 *   batch first   one product of matrices for each sample with all taps side by side, then their sum. It moves no
 *                 axes, and so is faster where the kernel has few elements and there are many windows.
 *   per channel   a depthwise one is in turn a depthwise convolution, of as many channels as there are in the batch, with
 *                 the gradients of the windows as its kernels. Where channels fill whole blocks this is fast, and needs
 *                 no other order of the data than the convolution itself (blocked/).
 */
import type { Shape } from '../builder.ts'
import { int, ints } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import type { Emitter } from './operator.ts'
import { at, type Window } from './window.ts'

export interface Convolution {
  emitter: Emitter
  window: Window
  group: number
  /** [batch, group · inputs, …] */
  x: Shape
  /** [outputs, inputs, …kernel]: of each group there are outputs / group. */
  w: Shape
  /** [batch, outputs, …windows] */
  y: Shape
}

interface Values {
  x: string
  dy: string
}

export function gradientOfWeight(convolution: Convolution, values: Values): string {
  if (isPerChannel(convolution)) return perChannel(convolution, values)
  return prefersBatchFirst(convolution) ? batchFirst(convolution, values) : batchLast(convolution, values)
}

/** Channels in a block are 8 or 16, by the processor. */
const LARGEST_BLOCK = 16

function isPerChannel({ group, w, window }: Convolution): boolean {
  const channels = at(w, 0)
  return channels === group && at(w, 1) === 1 && channels % LARGEST_BLOCK === 0 && window.kernel.length === 2
}

function perChannel(convolution: Convolution, { x, dy }: Values): string {
  const { emitter, window, w, y } = convolution
  const { builder } = emitter
  const [batch = 1, channels = 1, ...windows] = y
  const all = batch * channels
  const data = builder.reshape(x, [1, all, ...convolution.x.slice(2)])
  const kernels = builder.reshape(dy, [all, 1, ...windows])
  const sums = builder.add('Conv', [data, kernels], {
    group: int(all),
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints([...window.before, ...afterIn(convolution)]),
  })
  const each = builder.reshape(withinKernel(convolution, sums), [batch, ...w])
  return builder.reduceSum(each, [0], false)
}

/** Without what positions that no window reaches would add to the kernel. */
function withinKernel(convolution: Convolution, sums: string): string {
  const { emitter, window, x, y } = convolution
  const { builder } = emitter
  const surplus = window.kernel.map((_, axis) => {
    const extent = at(window.before, axis) + at(x, axis + 2) + at(afterIn(convolution), axis)
    return extent - reachOf(window, y, axis)
  })
  if (surplus.every((size, axis) => size < at(window.dilations, axis))) return sums
  const bounds = [window.kernel.map(() => 0), window.kernel, [2, 3]]
  return builder.add('Slice', [sums, ...bounds.map((each) => builder.int64(each))])
}

/** Measured: where the products for each sample are small beside what they are made of. */
function prefersBatchFirst({ group, w, y }: Convolution): boolean {
  const [outputs = 1, inputs = 1] = w
  const taps = elementCount(w.slice(2))
  const windows = elementCount(y.slice(2))
  if (group > 1 || (taps > 1 && inputs >= 8)) return false
  return 3 * taps * inputs * outputs < windows * (taps * inputs + outputs)
}

function batchFirst(convolution: Convolution, { x, dy }: Values): string {
  const { emitter, window, w, y } = convolution
  const { builder } = emitter
  const [outputs = 1, inputs = 1] = w
  const [batch = 1] = y
  const taps = elementCount(window.kernel)
  const windows = elementCount(y.slice(2))
  const spatial = window.kernel.map((_, axis) => axis + 2)
  const data = tapsOf(convolution, padded(convolution, x, spatial), spatial)
  const patches = builder.reshape(concat(emitter, data, 1), [batch, taps * inputs, windows])
  const turned = builder.add('Transpose', [patches], { perm: ints([0, 2, 1]) })
  const products = builder.add('MatMul', [builder.reshape(dy, [batch, outputs, windows]), turned])
  const total = builder.reshape(builder.reduceSum(products, [0], false), [outputs, ...window.kernel, inputs])
  return builder.add('Transpose', [total], {
    perm: ints([0, spatial.length + 1, ...window.kernel.map((_, axis) => axis + 1)]),
  })
}

function batchLast(convolution: Convolution, { x, dy }: Values): string {
  const { emitter, window, w, y } = convolution
  const { builder } = emitter
  const [outputs = 1, inputs = 1] = w
  const columns = elementCount(y) / outputs
  const spatial = window.kernel.map((_, axis) => axis + 1)
  const turned = (value: string): string =>
    builder.add('Transpose', [value], { perm: ints([1, ...spatial.map((axis) => axis + 1), 0]) })
  const gradient = matrices(convolution, turned(dy), columns)
  const products = tapsOf(convolution, padded(convolution, turned(x), spatial), spatial).map((tap) => {
    const product = productOf(convolution, gradient, matrices(convolution, tap, columns))
    return builder.reshape(product, [outputs, inputs, 1])
  })
  return builder.reshape(concat(emitter, products, 2), w)
}

/** Channels as rows: of all, or of each group. */
function matrices({ emitter: { builder }, group }: Convolution, value: string, columns: number): string {
  return builder.reshape(value, group === 1 ? [-1, columns] : [group, -1, columns])
}

/** a · bᵀ */
function productOf({ emitter: { builder }, group }: Convolution, a: string, b: string): string {
  if (group === 1) return builder.add('Gemm', [a, b], { transB: int(1) })
  return builder.add('MatMul', [a, builder.add('Transpose', [b], { perm: ints([0, 2, 1]) })])
}

/** The data with its padding, as far as windows reach. `spatial`: its spatial axes. */
function padded(convolution: Convolution, data: string, spatial: Shape): string {
  const { emitter, window, x } = convolution
  const { builder } = emitter
  const after = afterIn(convolution)
  if ([...window.before, ...after].every((size) => size === 0)) return data
  const pads = [window.before, after].flatMap((side) => x.map((_, axis) => side[spatial.indexOf(axis)] ?? 0))
  return builder.add('Pad', [data, builder.int64(pads)])
}

/** The padding after the data, as far as windows reach. */
function afterIn({ window, x, y }: Convolution): number[] {
  return window.kernel.map((_, axis) => {
    return Math.max(0, reachOf(window, y, axis) - at(x, axis + 2) - at(window.before, axis))
  })
}

/** How many positions all windows together reach over, padding included. */
function reachOf({ kernel, strides, dilations }: Window, y: Shape, axis: number): number {
  return (at(y, axis + 2) - 1) * at(strides, axis) + (at(kernel, axis) - 1) * at(dilations, axis) + 1
}

/** For each element of the kernel, in order, the data that it meets, window after window. */
function tapsOf({ emitter: { builder }, window, y }: Convolution, data: string, spatial: Shape): string[] {
  const { kernel, strides, dilations } = window
  if ([...kernel, ...strides].every((size) => size === 1)) return [data]
  const axes = builder.int64(spatial)
  return positionsIn(kernel).map((tap) => {
    const starts = tap.map((position, axis) => position * at(dilations, axis))
    const ends = starts.map((start, axis) => start + (at(y, axis + 2) - 1) * at(strides, axis) + 1)
    return builder.add('Slice', [
      data,
      builder.int64(starts),
      builder.int64(ends),
      axes,
      builder.int64(strides),
    ])
  })
}

function positionsIn(kernel: Shape): number[][] {
  return kernel.reduce<number[][]>(
    (outer, size) =>
      outer.flatMap((position) => Array.from({ length: size }, (_, next) => [...position, next])),
    [[]],
  )
}

function concat({ builder }: Emitter, values: readonly string[], axis: number): string {
  const [only] = values
  return values.length === 1 && only !== undefined ? only : builder.add('Concat', values, { axis: int(axis) })
}
