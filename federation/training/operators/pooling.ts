/*
 * MaxPool and AveragePool, and both over everything (GlobalMaxPool, GlobalAveragePool). Where a maximum occurs more than once in a window the first one
 * gets the gradient, as the runtime reports it: spreading it over ties would count it more than once.
 */
import type { Shape } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { type Attributes, describeNode, floatTensor, int, intOf, ints, intsOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { emitSideBySide, liesSideBySide } from './max-pool-spatial-first.ts'
import { emitAsIs, type Emitter, input, type Operator, output } from './operator.ts'
import { at, refuseSpatial, transposeAttributes, type Window, windowOf } from './window.ts'

const maxPool: Operator = {
  refuse: (node) => refuseSpatial(intsOf(node, 'kernel_shape')?.length ?? 0),
  emit: (given, emitter) => {
    const { builder } = emitter
    assertSize(given, emitter)
    // The order of Indices, which only this backward pass uses.
    const node = { ...given, attributes: { ...given.attributes, storage_order: int(0) } }
    if (emitter.mode === 'evaluation') {
      builder.append({ ...node, outputs: [output(node)] })
      return () => []
    }
    const window = poolWindow(node, emitter)
    if (liesSideBySide(window, emitter.shape(input(node, 0)))) return emitSideBySide(node, emitter, window)
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

/**
 * With ceil_mode a window that would begin behind the input and the padding before it is left out. The runtime does so
 * when it runs, but not in its shape inference: a graph with such a node fails wherever memory is reused by the inferred
 * shapes, and a training step reuses memory.
 */
function assertSize(node: Node, emitter: Emitter): void {
  if (intOf(node, 'ceil_mode', 0) === 0 || emitter.mode === 'evaluation') return
  const x = emitter.shape(input(node, 0))
  const { kernel, strides, dilations, before, after } = poolWindow(node, emitter)
  const axis = strides.findIndex((stride, index) => {
    const behind = at(x, index + 2) + at(before, index)
    const reach = (at(kernel, index) - 1) * at(dilations, index) + 1
    return Math.ceil((behind + at(after, index) - reach) / stride) * stride >= behind
  })
  if (axis < 0) return
  throw new ModelError(
    `${describeNode(node)}: with ceil_mode its last window along spatial dimension ${axis} would begin behind the input, ` +
      'where ONNX Runtime and its shape inference count differently; export the model with ceil_mode 0',
  )
}

function poolWindow(node: Node, { shape }: Emitter): Window {
  return windowOf(node, intsOf(node, 'kernel_shape') ?? [], {
    x: shape(input(node, 0)),
    y: shape(output(node)),
  })
}

const averagePool: Operator = {
  refuse: (node) => refuseSpatial(intsOf(node, 'kernel_shape')?.length ?? 0),
  emit: (node, emitter) => {
    assertSize(node, emitter)
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
  const withPadding = intOf(node, 'count_include_pad', 0) === 1
  const counts = window.kernel.map((_, axis) => {
    const inputs = at(shapes.x, axis + 2)
    const from = withPadding ? -at(window.before, axis) : 0
    const to = withPadding ? inputs + at(window.after, axis) : inputs
    return Array.from({ length: at(shapes.y, axis + 2) }, (_, position) =>
      elementsWithin(window, axis, { position, from, to }),
    )
  })
  return counts
    .reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1])
    .map((count) => 1 / count)
}

/** With ceil_mode the last window may lie partly beyond even the padding, which is never counted. */
function elementsWithin(
  window: Window,
  axis: number,
  { position, from, to }: { position: number; from: number; to: number },
): number {
  const start = position * at(window.strides, axis) - at(window.before, axis)
  const taps = Array.from(
    { length: at(window.kernel, axis) },
    (_, tap) => start + tap * at(window.dilations, axis),
  )
  return taps.filter((tap) => tap >= from && tap < to).length
}

/** One window that covers everything. */
const globalMaxPool: Operator = {
  emit: (node, emitter) => {
    const kernel = emitter.shape(input(node, 0)).slice(2)
    return maxPool.emit({ ...node, op: 'MaxPool', attributes: { kernel_shape: ints(kernel) } }, emitter)
  },
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
  GlobalMaxPool: globalMaxPool,
  GlobalAveragePool: globalAveragePool,
}
