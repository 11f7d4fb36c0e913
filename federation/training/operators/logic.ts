/*
 * Operators through which no gradient flows: comparisons, logic, positions of extreme values, and functions that are
 * constant between jumps. Masks and indices that are computed from data are made of these.
 */
import { int, type Node } from '../graph.ts'
import { dataTypeOf } from '../tensor-proto.ts'
import { emitAsIs, type Emitter, emitInstead, input, type Operator, output } from './operator.ts'

const withoutGradient: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    return () => []
  },
}

/** Between floating-point types gradients flow; from and to others nothing is asked of it. */
function casting(node: Node, emitter: Emitter): (dy: string) => (() => string)[] {
  const to = int(dataTypeOf(emitter.type(output(node))))
  emitInstead(node, emitter, { op: 'Cast', inputs: [input(node, 0)], attributes: { to } })
  return (dy) => [() => dy]
}

const WITHOUT_GRADIENT =
  'And ArgMax ArgMin Ceil Equal Floor Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Mod Not OneHot Or Round Sign Xor'

export const logic: Record<string, Operator> = {
  ...Object.fromEntries(WITHOUT_GRADIENT.split(' ').map((op) => [op, withoutGradient])),
  Cast: { emit: casting },
  CastLike: { emit: casting },
}
