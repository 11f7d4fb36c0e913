/*
 * The LSTM cell: i, o, f = sigmoid(…), c̃ = tanh(…), c' = f · c + i · c̃, h' = o · tanh(c'), where … is x · wᵀ + h · rᵀ +
 * biases. Backwards, the factors by which gradients of h' and c' become those of the gates do not depend on these
 * gradients, and are computed for all steps at once; what is left for each step is few products.
 */
import { int } from '../graph.ts'
import { emitRecurrence } from './recurrence.ts'
import {
  type Cell,
  type CellBackward,
  type CellGradients,
  columns,
  type Direction,
  type EmittedCell,
  hiddenGradients,
  projectedInput,
  shifted,
  sideBySide,
  sigmoidSlope,
  sumOfBiases,
  tanhSlope,
  transposedProduct,
  zeros,
} from './recurrent-cell.ts'

/** What the backward pass needs of all steps: [time · batch, …]. */
interface Kept {
  /** i, o, f side by side. */
  gates: string
  /** c̃ */
  candidate: string
  c: string
  /** tanh(c) */
  squashed: string
  y: string
  start: { h: string; c: string }
}

export const lstm: Cell = (direction, [h = '', c = '']): EmittedCell => {
  const { builder, steps, batch, hidden, backwards, r } = direction
  const projected = projectedInput(direction, sumOfBiases(direction))
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards,
    states: [h, c],
    sequences: [projected],
    step: (body, { states: [before = '', cell = ''], elements: [input = ''] }) => {
      const sums = body.add('Gemm', [before, r, input], { transB: int(1) })
      const [opening = '', proposal = ''] = columns(body, sums, [3 * hidden, hidden])
      const gates = body.add('Sigmoid', [opening])
      const candidate = body.add('Tanh', [proposal])
      const [i = '', o = '', f = ''] = columns(body, gates, [hidden, hidden, hidden])
      const kept = body.add('Mul', [f, cell])
      const next = body.add('Add', [kept, body.add('Mul', [i, candidate])])
      const squashed = body.add('Tanh', [next])
      const y = body.add('Mul', [o, squashed])
      return { states: [y, next], outputs: [gates, candidate, next, squashed] }
    },
  })
  const [gates = '', candidate = '', cells = '', squashed = ''] = outputs
  const [, open = ''] = columns(builder, gates, [hidden, hidden, hidden])
  // Once for all steps: what a step leaves behind costs more.
  const y = builder.add('Mul', [open, squashed])
  const kept = { gates, candidate, c: cells, squashed, y, start: { h, c } }
  return { y, states, backward: (gradients) => backward(direction, kept, gradients) }
}

function backward(direction: Direction, kept: Kept, gradients: CellGradients): CellBackward {
  const { builder, steps, batch, backwards, r } = direction
  const { factors, throughCell, f } = factorsOf(direction, kept)
  const dh = hiddenGradients(direction, gradients)
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards: !backwards,
    states: [dh.start, gradients.states[1] ?? zeros(direction)],
    sequences: [factors, throughCell, f, ...(dh.before === undefined ? [] : [dh.before])],
    step: (
      body,
      { states: [ofH = '', ofC = ''], elements: [factor = '', through = '', kept = '', ...before] },
    ) => {
      const total = body.add('Add', [ofC, body.add('Mul', [ofH, through])])
      const each = sideBySide(body, [total, ofH, total, total])
      const sums = body.add('Mul', [each, factor])
      return {
        states: [body.add('Gemm', [sums, r, ...before]), body.add('Mul', [total, kept])],
        outputs: [sums],
      }
    },
  })
  const [sums = ''] = outputs
  return {
    projected: sums,
    recurrent: sums,
    r: () => transposedProduct(builder, sums, shifted(direction, kept.y, kept.start.h)),
    states,
  }
}

/**
 * factors: what gradients of c', h', c', c' are multiplied by for those of i, o, f, c̃ before their activation;
 * throughCell: what the gradient of h' is multiplied by for that of c'.
 */
function factorsOf(
  direction: Direction,
  { gates, candidate, c, squashed, start }: Kept,
): { factors: string; throughCell: string; f: string } {
  const { builder, hidden } = direction
  const [i = '', o = '', f = ''] = columns(builder, gates, [hidden, hidden, hidden])
  const partners = sideBySide(builder, [candidate, squashed, shifted(direction, c, start.c)])
  const ofGates = builder.add('Mul', [partners, sigmoidSlope(builder, gates)])
  const ofCandidate = builder.add('Mul', [i, tanhSlope(builder, candidate)])
  return {
    factors: sideBySide(builder, [ofGates, ofCandidate]),
    throughCell: builder.add('Mul', [o, tanhSlope(builder, squashed)]),
    f,
  }
}
