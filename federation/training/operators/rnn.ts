/*
 * The plain recurrent cell: h' = tanh(x · wᵀ + h · rᵀ + biases).
 */
import { int } from '../graph.ts'
import { emitRecurrence } from './recurrence.ts'
import {
  type Cell,
  type EmittedCell,
  hiddenGradients,
  projectedInput,
  shifted,
  sumOfBiases,
  tanhSlope,
} from './recurrent-cell.ts'

export const rnn: Cell = (direction, [h = '']): EmittedCell => {
  const { builder, steps, batch, backwards, r } = direction
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards,
    states: [h],
    sequences: [projectedInput(direction, sumOfBiases(direction))],
    step: (body, { states: [before = ''], elements: [input = ''] }) => {
      const y = body.add('Tanh', [body.add('Gemm', [before, r, input], { transB: int(1) })])
      return { states: [y], outputs: [y] }
    },
  })
  const [y = ''] = outputs
  return {
    y,
    states,
    backward: (gradients) => {
      const dh = hiddenGradients(direction, gradients)
      const back = emitRecurrence(builder, {
        steps,
        rows: batch,
        backwards: !backwards,
        states: [dh.start],
        sequences: [tanhSlope(builder, y), ...(dh.before === undefined ? [] : [dh.before])],
        step: (body, { states: [ofH = ''], elements: [slope = '', ...others] }) => {
          const sum = body.add('Mul', [ofH, slope])
          return { states: [body.add('Gemm', [sum, r, ...others])], outputs: [sum] }
        },
      })
      const [sums = ''] = back.outputs
      return {
        projected: sums,
        recurrent: sums,
        before: shifted(direction, y, h),
        states: back.states,
      }
    },
  }
}
