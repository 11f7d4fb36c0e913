/*
 * What operators of one input have in common: the gradient is some steps on the output's gradient, from the input and
 * the output.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Node } from '../graph.ts'
import { emitAsIs, type Emitter, input, type Operator } from './operator.ts'

export interface UnaryValues {
  dy: string
  x: string
  y: string
  builder: GraphBuilder
}

export type UnaryGradient = (values: UnaryValues, node: Node, emitter: Emitter) => string

export function unary(gradient: UnaryGradient): Operator {
  return {
    emit: (node, emitter) => {
      const y = emitAsIs(node, emitter)
      const values = { x: input(node, 0), y, builder: emitter.builder }
      return (dy) => [() => gradient({ ...values, dy }, node, emitter)]
    },
  }
}
