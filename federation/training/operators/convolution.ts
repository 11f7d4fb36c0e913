/*
 * Conv over one or two spatial dimensions with stride, padding and dilation. The gradient of the input is a
 * transposed convolution; that of the weight is a convolution of the input with the output's gradient, batch
 * and channels exchanged and stride and dilation exchanged.
 */
import type { Shape } from '../builder.ts'
import { type Attributes, intOf, ints, intsOf, type Node } from '../graph.ts'
import { emitAsIs, type Emitter, input, type Operator, output } from './operator.ts'
import { at, refuseSpatial, transposeAttributes, type Window, windowOf } from './window.ts'

interface Convolution {
  node: Node
  emitter: Emitter
  window: Window
  x: Shape
  w: Shape
  y: Shape
}

export const conv: Operator = {
  refuse: (node) => {
    const group = intOf(node, 'group', 1)
    if (group !== 1)
      return `its group is ${group}; only group 1 is supported (no grouped or depthwise convolution)`
    const kernel = intsOf(node, 'kernel_shape')
    return kernel && refuseSpatial(kernel.length)
  },
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const [x, w, y] = [input(node, 0), input(node, 1), output(node)].map(emitter.shape)
    if (!x || !w || !y) throw new Error('unreachable: three shapes')
    const window = windowOf(node, w.slice(2), { x, y })
    const convolution = { node, emitter, window, x, w, y }
    return (dy) => [
      () => gradientOfInput(convolution, dy),
      () => gradientOfWeight(convolution, dy),
      input(node, 2) === '' ? undefined : () => emitter.builder.reduceSum(dy, allBut(1, y.length), false),
    ]
  },
}

function gradientOfInput(convolution: Convolution, dy: string): string {
  const { node, emitter, window, x, y } = convolution
  const flipped = flippedPads(window)
  if (window.kernel.length === 1 && flipped && window.strides.every((stride) => stride === 1)) {
    // ONNX Runtime's one-dimensional ConvTranspose is slow; at stride 1 a convolution does the same.
    return emitter.builder.add('Conv', [dy, flippedKernel(convolution)], {
      dilations: ints(window.dilations),
      pads: ints(flipped),
    })
  }
  const attributes = transposeAttributes(window, y.slice(2), x.slice(2))
  return emitter.builder.add('ConvTranspose', [dy, input(node, 1)], attributes)
}

/** The padding with which the flipped kernel undoes the window; undefined where it would be negative. */
function flippedPads({ kernel, dilations, before, after }: Window): number[] | undefined {
  const reach = kernel.map((size, axis) => at(dilations, axis) * (size - 1))
  const pads = [before, after].flatMap((side) => reach.map((size, axis) => size - at(side, axis)))
  return pads.every((size) => size >= 0) ? pads : undefined
}

function flippedKernel({ node, emitter: { builder }, window }: Convolution): string {
  const axes = window.kernel.map((_, axis) => axis + 2)
  const every = (value: number): string => builder.int64(axes.map(() => value))
  const reversed = builder.add('Slice', [
    input(node, 1),
    every(-1),
    every(-Number.MAX_SAFE_INTEGER),
    builder.int64(axes),
    every(-1),
  ])
  return builder.add('Transpose', [reversed], { perm: ints([1, 0, ...axes]) })
}

function gradientOfWeight({ node, emitter, window, x, w, y }: Convolution, dy: string): string {
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

export function allBut(axis: number, rank: number): number[] {
  return Array.from({ length: rank }, (_, index) => index).filter((index) => index !== axis)
}
