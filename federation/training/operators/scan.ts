/*
 * Running sums along an axis, and triangles of matrices.
 */
import { type Attributes, int, intOf } from '../graph.ts'
import { integersOf } from './constants.ts'
import { emitAsIs, input, type Operator } from './operator.ts'

const cumSum: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    integersOf(node, 1, { emitter, what: 'axis' })
    const attributes: Attributes = {
      exclusive: int(intOf(node, 'exclusive', 0)),
      reverse: int(1 - intOf(node, 'reverse', 0)),
    }
    return (dy) => [() => emitter.builder.add('CumSum', [dy, input(node, 1)], attributes)]
  },
}

const trilu: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const diagonal = input(node, 1)
    const upper = int(intOf(node, 'upper', 1))
    return (dy) => [() => emitter.builder.add('Trilu', diagonal === '' ? [dy] : [dy, diagonal], { upper })]
  },
}

export const scan: Record<string, Operator> = { CumSum: cumSum, Trilu: trilu }
