/*
 * Dropout. Its random numbers come from outside, so that the same seed gives the same training anywhere; an
 * operator that draws its own would depend on the runtime. Elements whose number is below the ratio are
 * dropped, the others scaled by 1 / (1 - ratio). In evaluation it passes its input on.
 */
import { ModelError } from '../errors.ts'
import { describeNode, type Node } from '../graph.ts'
import { type Emitter, emitInstead, input, type Operator } from './operator.ts'

const DEFAULT_RATIO = 0.5

const dropoutOperator: Operator = {
  emit: (node, emitter) => {
    const { builder } = emitter
    const x = input(node, 0)
    const ratio = ratioOf(node, emitter)
    if (emitter.mode === 'evaluation' || ratio === 0) {
      emitInstead(node, emitter, { op: 'Identity', inputs: [x], attributes: {} })
      return (dy) => [() => dy]
    }
    const kept = builder.add('GreaterOrEqual', [emitter.uniform(emitter.shape(x)), builder.scalar(ratio)])
    const factor = builder.add('Mul', [builder.cast(kept, 'float32'), builder.scalar(1 / (1 - ratio))])
    emitInstead(node, emitter, { op: 'Mul', inputs: [x, factor], attributes: {} })
    return (dy) => [() => builder.add('Mul', [dy, factor])]
  },
}

function ratioOf(node: Node, { constant }: Emitter): number {
  if (input(node, 1) === '') return DEFAULT_RATIO
  const ratio = Number(constant(input(node, 1))?.data[0] ?? NaN)
  if (ratio >= 0 && ratio < 1) return ratio
  throw new ModelError(`${describeNode(node)}: its ratio is ${ratio}, expected a constant from 0 to below 1`)
}

export const dropout: Record<string, Operator> = { Dropout: dropoutOperator }
