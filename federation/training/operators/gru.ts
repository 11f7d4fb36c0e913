/*
 * The GRU cell: z, r = sigmoid(…), h̃ = tanh(…), h' = h̃ + z · (h - h̃). In h̃ the reset gate r scales either what h and
 * its bias give (linear_before_reset 1, as PyTorch has it), or h itself before the product (0, ONNX's default).
 */
import type { GraphBuilder } from '../builder.ts'
import { int } from '../graph.ts'
import { emitRecurrence } from './recurrence.ts'
import {
  type Cell,
  type CellBackward,
  type CellGradients,
  columns,
  type Direction,
  hiddenGradients,
  projectedInput,
  shifted,
  sideBySide,
  sigmoidSlope,
  sumOfBiases,
  tanhSlope,
  transposedProduct,
} from './recurrent-cell.ts'

/** What the backward pass needs of all steps: [time · batch, …]. */
interface Kept {
  /** z and r side by side. */
  gates: string
  /** h̃ */
  candidate: string
  y: string
  /** h before the first step. */
  start: string
}

export const gruResetAfter: Cell = (direction, [start = '']) => {
  const { builder, steps, batch, hidden, backwards, r } = direction
  const projected = projectedInput(direction, direction.biases?.w)
  const [forGates = '', forCandidate = ''] = columns(builder, projected, [2 * hidden, hidden])
  const besideH = sideBySide(builder, [forGates, zerosLike(builder, forCandidate)])
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards,
    states: [start],
    sequences: [direction.biases ? builder.add('Add', [besideH, direction.biases.r]) : besideH, forCandidate],
    step: (body, { states: [h = ''], elements: [input = '', proposal = ''] }) => {
      const sums = body.add('Gemm', [h, r, input], { transB: int(1) })
      const [opening = '', ofH = ''] = columns(body, sums, [2 * hidden, hidden])
      const gates = body.add('Sigmoid', [opening])
      const [z = '', reset = ''] = columns(body, gates, [hidden, hidden])
      const candidate = body.add('Tanh', [body.add('Add', [proposal, body.add('Mul', [reset, ofH])])])
      const y = mixed(body, { z, h, candidate })
      return { states: [y], outputs: [gates, candidate, ofH, y] }
    },
  })
  const [gates = '', candidate = '', ofH = '', y = ''] = outputs
  const kept = { gates, candidate, y, start }
  return { y, states, backward: (gradients) => backwardAfter(direction, { ...kept, ofH }, gradients) }
}

function mixed(
  builder: GraphBuilder,
  { z, h, candidate }: { z: string; h: string; candidate: string },
): string {
  const difference = builder.add('Sub', [h, candidate])
  return builder.add('Add', [candidate, builder.add('Mul', [z, difference])])
}

function zerosLike(builder: GraphBuilder, value: string): string {
  return builder.add('ConstantOfShape', [builder.add('Shape', [value])])
}

/** All gradients before the activations are that of h' times factors that are known beforehand. */
function backwardAfter(
  direction: Direction,
  kept: Kept & { ofH: string },
  gradients: CellGradients,
): CellBackward {
  const { builder, steps, batch, backwards, r } = direction
  const { z, reset, ofZ, ofCandidate, before } = factorsOf(direction, kept)
  const [, resetSlope = ''] = slopesOf(direction, kept)
  const ofReset = builder.add('Mul', [ofCandidate, builder.add('Mul', [kept.ofH, resetSlope])])
  const factors = sideBySide(builder, [ofZ, ofReset, builder.add('Mul', [ofCandidate, reset])])
  const dh = hiddenGradients(direction, gradients)
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards: !backwards,
    states: [dh.start],
    sequences: [factors, ofCandidate, z, ...(dh.before === undefined ? [] : [dh.before])],
    step: (body, { states: [ofH = ''], elements: [factor = '', ofProposal = '', kept = '', ...others] }) => {
      const sums = body.add('Mul', [sideBySide(body, [ofH, ofH, ofH]), factor])
      const direct = body.add('Mul', [ofH, kept])
      const added = others.map((other) => body.add('Add', [direct, other]))
      return {
        states: [body.add('Gemm', [sums, r, added[0] ?? direct])],
        outputs: [sums, body.add('Mul', [ofH, ofProposal])],
      }
    },
  })
  const [recurrent = '', proposal = ''] = outputs
  const { hidden } = direction
  const [ofGates = ''] = columns(builder, recurrent, [2 * hidden, hidden])
  return {
    projected: sideBySide(builder, [ofGates, proposal]),
    recurrent,
    before,
    states,
  }
}

interface Factors {
  z: string
  reset: string
  /** What the gradient of h' is multiplied by for those of z and h̃ before their activation. */
  ofZ: string
  ofCandidate: string
  /** h of the step before. */
  before: string
}

function factorsOf(direction: Direction, kept: Kept): Factors {
  const { builder, hidden } = direction
  const [z = '', reset = ''] = columns(builder, kept.gates, [hidden, hidden])
  const [zSlope = ''] = slopesOf(direction, kept)
  const before = shifted(direction, kept.y, kept.start)
  const difference = builder.add('Sub', [before, kept.candidate])
  const rest = builder.add('Sub', [builder.scalar(1), z])
  return {
    z,
    reset,
    ofZ: builder.add('Mul', [difference, zSlope]),
    ofCandidate: builder.add('Mul', [rest, tanhSlope(builder, kept.candidate)]),
    before,
  }
}

function slopesOf({ builder, hidden }: Direction, { gates }: Kept): string[] {
  return columns(builder, sigmoidSlope(builder, gates), [hidden, hidden])
}

export const gruResetBefore: Cell = (direction, [start = '']) => {
  const { builder, steps, batch, hidden, backwards } = direction
  const weights = weightsOf(direction)
  const projected = projectedInput(direction, sumOfBiases(direction))
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards,
    states: [start],
    sequences: columns(builder, projected, [2 * hidden, hidden]),
    step: (body, { states: [h = ''], elements: [forGates = '', proposal = ''] }) => {
      const gates = body.add('Sigmoid', [body.add('Gemm', [h, weights.gates, forGates], { transB: int(1) })])
      const [z = '', reset = ''] = columns(body, gates, [hidden, hidden])
      const scaled = body.add('Mul', [reset, h])
      const sum = body.add('Gemm', [scaled, weights.candidate, proposal], { transB: int(1) })
      const candidate = body.add('Tanh', [sum])
      const y = mixed(body, { z, h, candidate })
      return { states: [y], outputs: [gates, candidate, y] }
    },
  })
  const [gates = '', candidate = '', y = ''] = outputs
  const kept = { gates, candidate, y, start }
  return { y, states, backward: (gradients) => backwardBefore(direction, { ...kept, weights }, gradients) }
}

interface Weights {
  gates: string
  candidate: string
}

function weightsOf({ builder, hidden, r }: Direction): Weights {
  const [gates = '', candidate = ''] = builder.addSeveral(
    'Split',
    [r, builder.int64([2 * hidden, hidden])],
    2,
    {
      axis: int(0),
    },
  )
  return { gates, candidate }
}

function backwardBefore(
  direction: Direction,
  kept: Kept & { weights: Weights },
  gradients: CellGradients,
): CellBackward {
  const { builder, steps, batch, backwards } = direction
  const { z, reset, ofZ, ofCandidate, before } = factorsOf(direction, kept)
  const [, resetSlope = ''] = slopesOf(direction, kept)
  const ofReset = builder.add('Mul', [before, resetSlope])
  const dh = hiddenGradients(direction, gradients)
  const { states, outputs } = emitRecurrence(builder, {
    steps,
    rows: batch,
    backwards: !backwards,
    states: [dh.start],
    sequences: [ofZ, ofCandidate, ofReset, z, reset, ...(dh.before === undefined ? [] : [dh.before])],
    step: (body, { states: [ofH = ''], elements }) => {
      const [zFactor = '', candidateFactor = '', resetFactor = '', keptZ = '', keptReset = '', ...others] =
        elements
      const candidate = body.add('Mul', [ofH, candidateFactor])
      const scaled = body.add('Gemm', [candidate, kept.weights.candidate])
      const gates = sideBySide(body, [
        body.add('Mul', [ofH, zFactor]),
        body.add('Mul', [scaled, resetFactor]),
      ])
      const direct = [body.add('Mul', [ofH, keptZ]), body.add('Mul', [scaled, keptReset]), ...others]
      return {
        states: [body.add('Gemm', [gates, kept.weights.gates, body.sum(direct)])],
        outputs: [gates, candidate],
      }
    },
  })
  const [gates = '', candidate = ''] = outputs
  const sums = sideBySide(builder, [gates, candidate])
  const scaled = (): string => builder.add('Mul', [reset, before])
  return {
    projected: sums,
    recurrent: sums,
    before,
    r: () => {
      const parts = [
        transposedProduct(builder, gates, before),
        transposedProduct(builder, candidate, scaled()),
      ]
      return builder.add('Concat', parts, { axis: int(0) })
    },
    states,
  }
}
