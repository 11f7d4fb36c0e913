/*
 * ReduceMean and ReduceSum. Axes were an attribute before opset 18 (ReduceMean) and an input since; the compiled
 * graph has them as a constant input.
 */
import { ModelError } from '../errors.ts'
import { describeNode, int, intOf, intsOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { type Emitter, emitInstead, input, type Operator, positiveAxis } from './operator.ts'

function reduction(op: 'ReduceMean' | 'ReduceSum'): Operator {
  return {
    emit: (node, emitter) => {
      const { builder } = emitter
      const x = emitter.shape(input(node, 0))
      const axes = axesOf(node, emitter)
      if (axes.length === 0) {
        emitInstead(node, emitter, { op: 'Identity', inputs: [input(node, 0)], attributes: {} })
        return (dy) => [() => dy]
      }
      emitInstead(node, emitter, {
        op,
        inputs: [input(node, 0), builder.int64(axes)],
        attributes: { keepdims: int(intOf(node, 'keepdims', 1)) },
      })
      const kept = x.map((size, axis) => (axes.includes(axis) ? 1 : size))
      const count = elementCount(x) / elementCount(kept)
      return (dy) => [
        () => {
          const share = op === 'ReduceSum' ? dy : builder.add('Mul', [dy, builder.scalar(1 / count)])
          return builder.add('Expand', [builder.reshape(share, kept), builder.int64(x)])
        },
      ]
    },
  }
}

function axesOf(node: Node, { shape, constant }: Emitter): number[] {
  const rank = shape(input(node, 0)).length
  const given = intsOf(node, 'axes') ?? axesInput(node, constant)
  if (given.length > 0) return given.map((axis) => positiveAxis(axis, rank))
  const nothing = intOf(node, 'noop_with_empty_axes', 0) === 1
  return nothing ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

function axesInput(node: Node, constant: Emitter['constant']): number[] {
  if (input(node, 1) === '') return []
  const axes = constant(input(node, 1))
  if (!axes)
    throw new ModelError(`${describeNode(node)}: its axes are computed from data; expected a constant`)
  return Array.from(axes.data, Number)
}

export const reductions: Record<string, Operator> = {
  ReduceMean: reduction('ReduceMean'),
  ReduceSum: reduction('ReduceSum'),
}
