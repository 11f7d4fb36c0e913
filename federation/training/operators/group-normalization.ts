/*
 * InstanceNormalization and GroupNormalization: every sample's channels, alone or in groups, are normalised by their
 * own mean and deviation, so padding rows change nothing. Computed from its parts, as the backward pass needs them.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int, intOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { inverseDeviation } from './normalization.ts'
import { type Backward, type Emitter, emitInstead, input, type Operator } from './operator.ts'
import { allBut } from './window.ts'

const instanceNormalization: Operator = {
  emit: (node, emitter) => emitGroups(node, emitter, emitter.shape(input(node, 0))[1] ?? 1),
}

const groupNormalization: Operator = {
  emit: (node, emitter) => emitGroups(node, emitter, intOf(node, 'num_groups', 1)),
}

function emitGroups(node: Node, emitter: Emitter, groups: number): Backward {
  const { builder, shape } = emitter
  const [x, scale, bias] = [input(node, 0), input(node, 1), input(node, 2)]
  const [batch = 1, channels = 1, ...spatial] = shape(x)
  const grouped = [batch * groups, elementCount([channels, ...spatial]) / groups]
  const affine = affineOf(builder, { value: shape(scale), channels, rank: shape(x).length })

  const rows = builder.reshape(x, grouped)
  const centred = builder.add('Sub', [rows, mean(builder, rows)])
  const variance = mean(builder, builder.add('Mul', [centred, centred]))
  const inverse = inverseDeviation(builder, variance, node)
  const normalized = builder.reshape(builder.add('Mul', [centred, inverse]), shape(x))
  const scaled = builder.add('Mul', [normalized, affine.spread(scale)])
  emitInstead(node, emitter, { op: 'Add', inputs: [scaled, affine.spread(bias)], attributes: {} })
  return (dy) => [
    () => {
      // (d - mean(d) - x̂ · mean(d · x̂)) / σ, where d is the gradient of x̂
      const d = builder.reshape(builder.add('Mul', [dy, affine.spread(scale)]), grouped)
      const flat = builder.reshape(normalized, grouped)
      const along = builder.add('Mul', [flat, mean(builder, builder.add('Mul', [d, flat]))])
      const rest = builder.add('Sub', [builder.add('Sub', [d, mean(builder, d)]), along])
      return builder.reshape(builder.add('Mul', [rest, inverse]), shape(x))
    },
    () => affine.gather(builder.add('Mul', [dy, normalized])),
    () => affine.gather(dy),
  ]
}

function mean(builder: GraphBuilder, rows: string): string {
  return builder.add('ReduceMean', [rows, builder.int64([1])], { keepdims: int(1) })
}

interface Affine {
  /** Of a scale or bias: for each channel, so that it broadcasts. */
  spread: (value: string) => string
  /** The sum over everything that a scale or bias was broadcast to. */
  gather: (value: string) => string
}

/** Scale and bias are one for each channel, or for each group as GroupNormalization had before opset 21. */
function affineOf(
  builder: GraphBuilder,
  { value, channels, rank }: { value: Shape; channels: number; rank: number },
): Affine {
  const [count = 1] = value
  const each = channels / count
  const broadcast = [channels, ...Array<number>(rank - 2).fill(1)]
  return {
    spread: (name) => {
      if (each === 1) return builder.reshape(name, broadcast)
      const repeated = builder.add('Expand', [
        builder.reshape(name, [count, 1]),
        builder.int64([count, each]),
      ])
      return builder.reshape(repeated, broadcast)
    },
    gather: (name) => {
      const sums = builder.reduceSum(name, allBut(1, rank), false)
      return each === 1 ? sums : builder.reduceSum(builder.reshape(sums, [count, each]), [1], false)
    },
  }
}

export const groupNormalizations: Record<string, Operator> = {
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
}
