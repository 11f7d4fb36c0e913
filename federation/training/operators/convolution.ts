/*
 * Conv and ConvTranspose over one to three spatial dimensions, with groups, stride, padding and dilation. A
 * ConvTranspose is how gradients flow back through a Conv, and the other way round, so both are one Convolution
 * here: windows slide over x, the side with more positions, and each gives one position of y.
 */
import { intOf, intsOf, type Node } from '../graph.ts'
import { gradientOfWindowed, windowed } from './convolution-data.ts'
import { emitSpatialFirst } from './convolution-spatial-first.ts'
import { type Convolution, gradientOfWeight } from './convolution-weight.ts'
import { emitAsIs, type Emitter, input, type Operator, output } from './operator.ts'
import { allBut, refuseSpatial, transposedWindowOf, windowOf } from './window.ts'

const conv: Operator = {
  refuse: refuseKernel,
  emit: (node, emitter) => {
    const { shape } = emitter
    const [x, w, y] = [shape(input(node, 0)), shape(input(node, 1)), shape(output(node))]
    const window = windowOf(node, w.slice(2), { x, y })
    const convolution = { emitter, window, group: groupOf(node), x, w, y }
    const faster = emitSpatialFirst(node, convolution)
    if (faster) return faster
    emitAsIs(node, emitter)
    return (dy) => [
      () => gradientOfWindowed(convolution, { w: input(node, 1), dy }),
      () => gradientOfWeight(convolution, { x: input(node, 0), dy }),
      biasGradient(node, emitter, dy),
    ]
  },
}

const convTranspose: Operator = {
  refuse: refuseKernel,
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { shape } = emitter
    const [y, w, x] = [shape(input(node, 0)), shape(input(node, 1)), shape(output(node))]
    const window = transposedWindowOf(node, w.slice(2), { x, y })
    const convolution: Convolution = { emitter, window, group: groupOf(node), x, w, y }
    return (dx) => [
      () => windowed(convolution, { w: input(node, 1), x: dx }),
      () => gradientOfWeight(convolution, { x: dx, dy: input(node, 0) }),
      biasGradient(node, emitter, dx),
    ]
  },
}

function refuseKernel(node: Node): string | undefined {
  const kernel = intsOf(node, 'kernel_shape')
  return kernel && refuseSpatial(kernel.length)
}

function groupOf(node: Node): number {
  return intOf(node, 'group', 1)
}

function biasGradient(node: Node, { builder, shape }: Emitter, dy: string): (() => string) | undefined {
  if (input(node, 2) === '') return undefined
  return () => builder.reduceSum(dy, allBut(1, shape(output(node)).length), false)
}

export const convolution: Record<string, Operator> = { Conv: conv, ConvTranspose: convTranspose }
