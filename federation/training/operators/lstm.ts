/*
 * The LSTM cell: i, o, f = sigmoid(…), c̃ = tanh(…), c' = f · c + i · c̃, h' = o · tanh(c'), where … is x · wᵀ + h · rᵀ +
 * biases. Backwards, the factors by which gradients of h' and c' become those of the gates do not depend on these
 * gradients, and are computed for all steps at once; what is left for each step is few products.
 */
import type { GraphBuilder } from '../builder.ts'
import { int } from '../graph.ts'
import { emitRecurrence } from './recurrence.ts'
import {
  type Cell,
  type CellBackward,
  type CellGradients,
  type Direction,
  type EmittedCell,
  hiddenGradients,
  projectedInput,
  shifted,
  sideBySide,
  sumOfBiases,
  zeros,
} from './recurrent-cell.ts'

/** What the backward pass needs of all steps: [time · batch, hidden]. */
interface Kept {
  i: string
  o: string
  f: string
  /** c̃ */
  candidate: string
  /** f · c */
  remembered: string
  /** i · c̃ */
  added: string
  /** tanh(c') */
  squashed: string
  /** h' */
  y: string
  start: string
}

export const lstm: Cell = (direction, [h = '', c = '']): EmittedCell => {
  const { builder, steps, batch, backwards, r } = direction
  // A product for each gate, which costs less than to split that of all.
  const [ri = '', ro = '', rf = '', rc = ''] = rowsOfGates(builder, r)
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards,
    states: [h, c],
    sequences: projectedGates(direction),
    step: (
      body,
      { states: [before = '', cell = ''], elements: [toI = '', toO = '', toF = '', toC = ''] },
    ) => {
      const opened = (activation: string, weight: string, input: string): string =>
        body.add(activation, [body.add('Gemm', [before, weight, input], { transB: int(1) })])
      const i = opened('Sigmoid', ri, toI)
      const o = opened('Sigmoid', ro, toO)
      const f = opened('Sigmoid', rf, toF)
      const candidate = opened('Tanh', rc, toC)
      const remembered = body.add('Mul', [f, cell])
      const added = body.add('Mul', [i, candidate])
      const next = body.add('Add', [remembered, added])
      const squashed = body.add('Tanh', [next])
      const y = body.add('Mul', [o, squashed])
      return { states: [y, next], outputs: [i, o, f, candidate, remembered, added, squashed] }
    },
  })
  const [i = '', o = '', f = '', candidate = '', remembered = '', added = '', squashed = ''] = outputs
  // Once for all steps: a state that a step also leaves behind is copied.
  const y = builder.add('Mul', [o, squashed])
  const kept = { i, o, f, candidate, remembered, added, squashed, y, start: h }
  return { y, states, backward: (gradients) => backward(direction, kept, gradients) }
}

/** x · wᵀ + biases of each gate, for all steps at once. */
function projectedGates(direction: Direction): string[] {
  const { builder, w } = direction
  const sum = sumOfBiases(direction)
  const biases = sum === undefined ? [] : rowsOfGates(builder, sum)
  return rowsOfGates(builder, w).map((rows, gate) => projectedInput({ ...direction, w: rows }, biases[gate]))
}

/** Of i, o, f, c̃. */
function rowsOfGates(builder: GraphBuilder, value: string): string[] {
  return builder.addSeveral('Split', [value], 4, { axis: int(0), num_outputs: int(4) })
}

function backward(direction: Direction, kept: Kept, gradients: CellGradients): CellBackward {
  const { builder, steps, batch, backwards, r } = direction
  const { factors, throughCell } = factorsOf(builder, kept)
  const dh = hiddenGradients(direction, gradients)
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards: !backwards,
    states: [dh.start, gradients.states[1] ?? zeros(direction)],
    sequences: [factors, throughCell, kept.f, ...(dh.before === undefined ? [] : [dh.before])],
    step: (
      body,
      { states: [ofH = '', ofC = ''], elements: [factor = '', through = '', f = '', ...before] },
    ) => {
      const total = body.add('Add', [ofC, body.add('Mul', [ofH, through])])
      const each = sideBySide(body, [total, ofH, total, total])
      const sums = body.add('Mul', [each, factor])
      return {
        states: [body.add('Gemm', [sums, r, ...before]), body.add('Mul', [total, f])],
        outputs: [sums],
      }
    },
  })
  const [sums = ''] = outputs
  return { projected: sums, recurrent: sums, before: shifted(direction, kept.y, kept.start), states }
}

/**
 * factors: what gradients of c', h', c', c' are multiplied by for those of i, o, f, c̃ before their activation;
 * throughCell: what the gradient of h' is multiplied by for that of c'.
 */
function factorsOf(
  builder: GraphBuilder,
  { i, o, f, candidate, remembered, added, squashed, y }: Kept,
): { factors: string; throughCell: string } {
  // The slope of a gate times what the gate opens to is the gate's share of the sum times one minus the gate.
  const closed = (share: string, gate: string): string =>
    builder.add('Mul', [share, builder.add('Sub', [builder.scalar(1), gate])])
  const slope = (gate: string, share: string, tanh: string): string =>
    builder.add('Sub', [gate, builder.add('Mul', [share, tanh])])
  const ofCandidate = slope(i, added, candidate)
  return {
    factors: sideBySide(builder, [closed(added, i), closed(y, o), closed(remembered, f), ofCandidate]),
    throughCell: slope(o, y, squashed),
  }
}
