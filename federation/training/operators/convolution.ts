/*
 * Conv over one or two spatial dimensions with stride, padding and dilation. The gradient of the input is a
 * transposed convolution; that of the weight has a file of its own.
 */
import { intOf, ints, intsOf } from '../graph.ts'
import { emitAsIs, input, type Operator, output } from './operator.ts'
import { type Convolution, gradientOfWeight } from './convolution-weight.ts'
import { allBut, at, refuseSpatial, transposeAttributes, type Window, windowOf } from './window.ts'

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
