/*
 * MaxPool, AveragePool and GlobalAveragePool. Where a maximum occurs more than once in a window the first one
 * gets the gradient, as the runtime reports it: spreading it over ties would count it more than once.
 */
import type { Shape } from '../builder.ts'
import { type Attributes, floatTensor, int, intOf, intsOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { emitAsIs, type Emitter, input, type Operator, output } from './operator.ts'
import { at, refuseSpatial, transposeAttributes, type Window, windowOf } from './window.ts'

const maxPool: Operator = {
  refuse: (node) => {
    if (intOf(node, 'storage_order', 0) !== 0) return 'its storage_order is 1; only 0 is supported'
    return refuseSpatial(intsOf(node, 'kernel_shape')?.length ?? 0)
  },
  emit: (node, emitter) => {
    const { builder } = emitter
    if (emitter.mode === 'evaluation') {
      builder.append({ ...node, outputs: [output(node)] })
      return () => []
    }
    const indices = builder.fresh(`${output(node)}.indices`)
    builder.append({ ...node, outputs: [output(node), indices] })
    const x = emitter.shape(input(node, 0))
    return (dy) => [
      () => {
        const zeros = builder.add('ConstantOfShape', [builder.int64([elementCount(x)])])
        const flat = [indices, dy].map((value) => builder.reshape(value, [-1]))
        const scattered = builder.add('ScatterElements', [zeros, ...flat], scatterAttributes(node, emitter))
        return builder.reshape(scattered, x)
      },
    ]
  },
}

/** Windows that share positions need the sum; others are faster without. */
function scatterAttributes(node: Node, emitter: Emitter): Attributes {
  const { kernel, strides, dilations } = poolWindow(node, emitter)
  const apart = kernel.every((size, axis) => at(strides, axis) > (size - 1) * at(dilations, axis))
  return apart ? { axis: int(0) } : { axis: int(0), reduction: { kind: 'string', value: 'add' } }
}

function poolWindow(node: Node, { shape }: Emitter): Window {
  return windowOf(node, intsOf(node, 'kernel_shape') ?? [], {
    x: shape(input(node, 0)),
    y: shape(output(node)),
  })
}

const averagePool: Operator = {
  refuse: (node) => {
    if (intOf(node, 'ceil_mode', 0) === 1 && intOf(node, 'count_include_pad', 0) === 1) {
      return 'it has ceil_mode and count_include_pad together; only one of them is supported'
    }
    return refuseSpatial(intsOf(node, 'kernel_shape')?.length ?? 0)
  },
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder } = emitter
    const [x, y] = [emitter.shape(input(node, 0)), emitter.shape(output(node))]
    return (dy) => [
      () => {
        const window = poolWindow(node, emitter)
        const outputs = y.slice(2)
        const share = builder.constant(floatTensor(shares(node, window, { x, y }), [1, 1, ...outputs]))
        const planes = (x[0] ?? 1) * (x[1] ?? 1)
        const each = builder.reshape(builder.add('Mul', [dy, share]), [planes, 1, ...outputs])
        const ones = builder.constant(
          floatTensor(Array(elementCount(window.kernel)).fill(1), [1, 1, ...window.kernel]),
        )
        const attributes = transposeAttributes(window, outputs, x.slice(2))
        return builder.reshape(builder.add('ConvTranspose', [each, ones], attributes), x)
      },
    ]
  },
}

/** For each output position, one over the number of elements that its mean is taken of. */
function shares(node: Node, window: Window, shapes: { x: Shape; y: Shape }): number[] {
  const everything = intOf(node, 'count_include_pad', 0) === 1
  const counts = window.kernel.map((size, axis) =>
    Array.from({ length: at(shapes.y, axis + 2) }, (_, position) =>
      everything ? size : elementsInside(window, axis, { position, inputs: at(shapes.x, axis + 2) }),
    ),
  )
  return counts
    .reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1])
    .map((count) => 1 / count)
}

function elementsInside(window: Window, axis: number, where: { position: number; inputs: number }): number {
  const start = where.position * at(window.strides, axis) - at(window.before, axis)
  const taps = Array.from(
    { length: at(window.kernel, axis) },
    (_, tap) => start + tap * at(window.dilations, axis),
  )
  return taps.filter((tap) => tap >= 0 && tap < where.inputs).length
}

const globalAveragePool: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder } = emitter
    const x = emitter.shape(input(node, 0))
    return (dy) => [
      () => {
        const share = builder.add('Mul', [dy, builder.scalar(1 / elementCount(x.slice(2)))])
        return builder.add('Expand', [share, builder.int64(x)])
      },
    ]
  },
}

export const pooling: Record<string, Operator> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
}
