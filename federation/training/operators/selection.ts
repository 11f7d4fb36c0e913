/*
 * Choices between values: Where, Min and Max of any number of inputs, and TopK. Equal values share the gradient of a
 * minimum or maximum, as in PyTorch: of two each gets half; more are taken two at a time.
 */
import type { Shape } from '../builder.ts'
import { int, intOf, type Node } from '../graph.ts'
import { broadcastShape, unbroadcast } from './broadcast.ts'
import {
  emitAsIs,
  emitInstead,
  type Emitter,
  input,
  type Operator,
  output,
  positiveAxis,
} from './operator.ts'
import { zerosLike } from './zeros.ts'

const where: Operator = {
  emit: (node, emitter) => {
    const y = emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const [condition, a, b] = [input(node, 0), input(node, 1), input(node, 2)]
    const zero = builder.scalar(0)
    return (dy) => [
      undefined,
      () => unbroadcast(builder, builder.add('Where', [condition, dy, zero]), shape(y), shape(a)),
      () => unbroadcast(builder, builder.add('Where', [condition, zero, dy]), shape(y), shape(b)),
    ]
  },
}

interface Value {
  name: string
  shape: Shape
}

/** `before` is as large or larger than what it is compared with where `beats` says so. */
function extreme(op: 'Min' | 'Max'): Operator {
  const [wins, ties] = op === 'Max' ? ['Greater', 'GreaterOrEqual'] : ['Less', 'LessOrEqual']
  return {
    emit: (node, emitter) => {
      const { builder } = emitter
      const values = node.inputs.map((name) => ({ name, shape: emitter.shape(name) }))
      const pairs = pairwise(op, node, { emitter, values })
      /** 1 where the first of a pair is chosen, a half where both are equal. */
      const share = ({ before, value }: Pair): string => {
        const both = [wins, ties].map((comparison) =>
          builder.cast(builder.add(comparison, [before.name, value.name]), 'float32'),
        )
        return builder.add('Mul', [builder.add('Add', both), builder.scalar(0.5)])
      }
      return (dy) => {
        const gradients: (() => string)[] = []
        let rest = dy
        for (const pair of pairs.toReversed()) {
          const [full, shape] = [rest, broadcastShape(pair.before.shape, pair.value.shape)]
          const kept = builder.add('Mul', [full, share(pair)])
          gradients.unshift(() => {
            return unbroadcast(builder, builder.add('Sub', [full, kept]), shape, pair.value.shape)
          })
          rest = unbroadcast(builder, kept, shape, pair.before.shape)
        }
        const first = rest
        return [() => first, ...gradients]
      }
    },
  }
}

interface Pair {
  /** The extreme of all values before. */
  before: Value
  value: Value
}

/** Adds the extreme of many values as one of two after the other; the last one has the node's name. */
function pairwise(
  op: string,
  node: Node,
  { emitter, values: [first, ...rest] }: { emitter: Emitter; values: Value[] },
): Pair[] {
  const { builder } = emitter
  if (!first) return []
  if (rest.length === 0) emitInstead(node, emitter, { op: 'Identity', inputs: [first.name], attributes: {} })
  let before = first
  return rest.map((value, index) => {
    const pair = { before, value }
    const inputs = [before.name, value.name]
    const isLast = index === rest.length - 1
    if (isLast) emitInstead(node, emitter, { op, inputs, attributes: {} })
    before = {
      name: isLast ? output(node) : builder.add(op, inputs),
      shape: broadcastShape(before.shape, value.shape),
    }
    return pair
  })
}

/** Its values are elements of the input; its indices say which. */
const topK: Operator = {
  outputs: 2,
  emit: (node, emitter) => {
    const { builder, shape } = emitter
    const [values = '', named = ''] = node.outputs
    const known = values === '' ? builder.fresh('values') : values
    const indices = named === '' ? builder.fresh(`${known}.indices`) : named
    builder.append({ ...node, outputs: [known, indices] })
    const x = shape(input(node, 0))
    const axis = int(positiveAxis(intOf(node, 'axis', -1), x.length))
    return (dy) => [() => builder.add('ScatterElements', [zerosLike(builder, x), indices, dy], { axis })]
  },
}

export const selection: Record<string, Operator> = {
  Where: where,
  Min: extreme('Min'),
  Max: extreme('Max'),
  TopK: topK,
}
