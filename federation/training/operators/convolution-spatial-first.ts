/*
 * Convolutions that are fastest with their spatial dimensions first: large kernels over many channels, by Winograd's
 * filtering; and large kernels over very few, as one matrix product with every window's values side by side, which
 * serves the gradient of the weight again.
 */
import type { GraphBuilder } from '../builder.ts'
import { int, ints, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { gradientOfWindowed } from './convolution-data.ts'
import type { Convolution } from './convolution-weight.ts'
import { type Backward, input } from './operator.ts'
import { batchFirst, concat, emitBatchFirst, slice, spatialFirst } from './spatial-first.ts'
import { at } from './window.ts'
import { Winograd, winogradPays } from './winograd.ts'

const FEW_CHANNELS = 4
const LARGE_KERNEL = 25

/** Adds the node so, if that is the fastest way for it; undefined if it is not. */
export function emitSpatialFirst(node: Node, convolution: Convolution): Backward | undefined {
  const { emitter, window, group, w, y } = convolution
  if (emitter.mode !== 'training' || group !== 1 || w.length !== 4) return undefined
  const dense = [...window.strides, ...window.dilations].every((each) => each === 1)
  if (dense && winogradPays({ outputs: y.slice(2), kernel: w })) return emitWinograd(node, convolution)
  const taps = elementCount(window.kernel)
  if (at(w, 1) <= FEW_CHANNELS && taps >= LARGE_KERNEL && at(w, 0) >= 8) return emitWindows(node, convolution)
  return undefined
}

function emitWinograd(node: Node, { emitter, window, x, w, y }: Convolution): Backward {
  const { builder } = emitter
  const winograd = new Winograd({
    builder,
    inputs: x.slice(2),
    outputs: y.slice(2),
    before: window.before,
    batch: at(x, 0),
    kernel: w,
  })
  const made = winograd.forward(spatialFirst(builder, input(node, 0)), input(node, 1))
  const bias = input(node, 2)
  emitBatchFirst(node, emitter, bias === '' ? made.y : builder.add('Add', [made.y, bias]))
  return (dy) => {
    const gradient = spatialFirst(builder, dy)
    const { x: ofX, w: ofW } = winograd.backward(gradient, made)
    return [() => batchFirst(builder, ofX()), ofW, biasGradient(builder, bias, gradient)]
  }
}

function emitWindows(node: Node, convolution: Convolution): Backward {
  const { emitter, window, w, y } = convolution
  const { builder } = emitter
  const [batch = 1, made = 1, height = 1, width = 1] = y
  const [positions, values] = [height * width * batch, elementCount(w.slice(1))]
  const windows = builder.reshape(windowValues(node, convolution), [values, positions])
  const turned = builder.add('Transpose', [input(node, 1)], { perm: ints([2, 3, 1, 0]) })
  const weight = builder.reshape(turned, [values, made])
  const bias = input(node, 2)
  const flat = builder.add('Gemm', [windows, weight, ...(bias === '' ? [] : [bias])], { transA: int(1) })
  emitBatchFirst(node, emitter, builder.reshape(flat, [height, width, batch, made]))
  return (dy) => {
    const gradient = spatialFirst(builder, dy)
    return [
      () => gradientOfWindowed(convolution, { w: input(node, 1), dy }),
      () => {
        const product = builder.add('Gemm', [windows, builder.reshape(gradient, [positions, made])])
        const shaped = builder.reshape(product, [...window.kernel, at(w, 1), made])
        return builder.add('Transpose', [shaped], { perm: ints([3, 2, 0, 1]) })
      },
      biasGradient(builder, bias, gradient),
    ]
  }
}

/** [kernel height · kernel width · channels, height, width, batch]: what each element of the kernel meets. */
function windowValues(node: Node, { emitter: { builder }, window, y }: Convolution): string {
  const outermost = builder.add('Transpose', [input(node, 0)], { perm: ints([1, 2, 3, 0]) })
  const pads = [0, ...window.before, 0, 0, ...window.after, 0]
  const padded = pads.some((size) => size !== 0)
    ? builder.add('Pad', [outermost, builder.int64(pads)])
    : outermost
  const [rows = 1, columns = 1] = window.kernel
  const taps = Array.from({ length: rows * columns }, (_, tap) => {
    const starts = [
      Math.floor(tap / columns) * at(window.dilations, 0),
      (tap % columns) * at(window.dilations, 1),
    ]
    const ends = starts.map((start, axis) => start + (at(y, axis + 2) - 1) * at(window.strides, axis) + 1)
    return slice(builder, padded, { starts, ends, axes: [1, 2], steps: window.strides })
  })
  return concat(builder, taps, 0)
}

function biasGradient(builder: GraphBuilder, bias: string, dy: string): (() => string) | undefined {
  return bias === '' ? undefined : () => builder.reduceSum(dy, [0, 1, 2], false)
}
