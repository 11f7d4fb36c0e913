/*
 * LayerNormalization and RMSNormalization: over the axes from `axis` to the last one, for each position of the others
 * alone, so that padding rows change nothing.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { floatOf, int, intOf, type Node } from '../graph.ts'
import { unbroadcast } from './broadcast.ts'
import { type Emitter, emitInstead, input, type Operator, positiveAxis } from './operator.ts'

const EPSILON = 1e-5

function normalizedAxes(node: Node, shape: Shape): number[] {
  const first = positiveAxis(intOf(node, 'axis', -1), shape.length)
  return shape.map((_, axis) => axis).slice(first)
}

interface Normalized {
  builder: GraphBuilder
  axes: readonly number[]
  /** (x - mean) / σ, or x / √(mean of squares). */
  value: string
  /** 1 / σ, broadcasting over it. */
  inverse: string
}

function mean({ builder, axes }: Normalized, value: string): string {
  return builder.add('ReduceMean', [value, builder.int64(axes)], { keepdims: int(1) })
}

const layerNormalization: Operator = {
  outputs: 3,
  emit: (node, emitter) => {
    const { builder } = emitter
    const [x, scale, bias] = [input(node, 0), input(node, 1), input(node, 2)]
    const shape = emitter.shape(x)
    const [y = '', ...further] = node.outputs
    const [average, inverse] = [further[0] ?? '', further[1] ?? ''].map((name) =>
      name === '' ? builder.fresh(`${y}.statistic`) : name,
    ) as [string, string]
    const named = y === '' ? builder.fresh('y') : y
    builder.append({ ...node, outputs: [named, average, inverse] })
    const axes = normalizedAxes(node, shape)
    return {
      ofOutputs: ([dy, dMean, dInverse]) => {
        const centred = builder.add('Sub', [x, average])
        const value = builder.add('Mul', [centred, inverse])
        const normalized = { builder, axes, value, inverse }
        const affine =
          dy === undefined ? undefined : affineGradients(emitter, normalized, { dy, scale, bias, shape })
        return [
          () => {
            const parts = [
              ...(dy === undefined ? [] : [centredGradient(normalized, builder.add('Mul', [dy, scale]))]),
              ...(dMean === undefined ? [] : [share(normalized, dMean, shape)]),
              ...(dInverse === undefined ? [] : [inverseGradient(normalized, dInverse, shape)]),
            ]
            return builder.sum(parts)
          },
          affine?.scale,
          affine?.bias,
        ]
      },
    }
  },
}

/** (g - mean(g) - x̂ · mean(g · x̂)) / σ */
function centredGradient(normalized: Normalized, g: string): string {
  const { builder, value, inverse } = normalized
  const along = builder.add('Mul', [value, mean(normalized, builder.add('Mul', [g, value]))])
  const centred = builder.add('Sub', [builder.add('Sub', [g, mean(normalized, g)]), along])
  return builder.add('Mul', [centred, inverse])
}

/** What flows back from the mean: the same to each element. */
function share({ builder, axes }: Normalized, dMean: string, shape: Shape): string {
  const count = axes.reduce((product, axis) => product * (shape[axis] ?? 1), 1)
  const each = builder.add('Mul', [dMean, builder.scalar(1 / count)])
  return builder.add('Expand', [each, builder.int64(shape)])
}

/** d(1/σ)/dx = -x̂ / (σ² · n) */
function inverseGradient(
  { builder, axes, value, inverse }: Normalized,
  dInverse: string,
  shape: Shape,
): string {
  const count = axes.reduce((product, axis) => product * (shape[axis] ?? 1), 1)
  const square = builder.add('Mul', [inverse, inverse])
  const factor = builder.add('Mul', [builder.add('Mul', [dInverse, square]), builder.scalar(-1 / count)])
  return builder.add('Mul', [value, factor])
}

interface Affine {
  dy: string
  scale: string
  bias: string
  shape: Shape
}

function affineGradients(
  emitter: Emitter,
  { builder, value }: Pick<Normalized, 'builder' | 'value'>,
  { dy, scale, bias, shape }: Affine,
): { scale: () => string; bias: (() => string) | undefined } {
  const summed = (gradient: string, of: string): string => {
    return unbroadcast(builder, gradient, shape, emitter.shape(of))
  }
  return {
    scale: () => summed(builder.add('Mul', [dy, value]), scale),
    bias: bias === '' ? undefined : () => summed(dy, bias),
  }
}

/** Spelled out: the operator is younger than the compiled graph's opset. */
const rmsNormalization: Operator = {
  emit: (node, emitter) => {
    const { builder } = emitter
    const [x, scale] = [input(node, 0), input(node, 1)]
    const shape = emitter.shape(x)
    const axes = normalizedAxes(node, shape)
    const squares = builder.add('ReduceMean', [builder.add('Mul', [x, x]), builder.int64(axes)], {
      keepdims: int(1),
    })
    const epsilon = builder.scalar(floatOf(node, 'epsilon', EPSILON))
    const inverse = builder.add('Reciprocal', [builder.add('Sqrt', [builder.add('Add', [squares, epsilon])])])
    const value = builder.add('Mul', [x, inverse])
    emitInstead(node, emitter, { op: 'Mul', inputs: [value, scale], attributes: {} })
    const normalized = { builder, axes, value, inverse }
    return (dy) => [
      () => {
        // (g - x̂ · mean(g · x̂)) / σ
        const g = builder.add('Mul', [dy, scale])
        const along = builder.add('Mul', [value, mean(normalized, builder.add('Mul', [g, value]))])
        return builder.add('Mul', [builder.add('Sub', [g, along]), inverse])
      },
      affineGradients(emitter, normalized, { dy, scale, bias: '', shape }).scale,
    ]
  },
}

export const layerNormalizations: Record<string, Operator> = {
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
}
