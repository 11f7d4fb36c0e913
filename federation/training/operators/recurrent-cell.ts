/*
 * What LSTM, GRU and RNN have in common: a cell, seen in one direction of time. Rows of matrices are time steps and
 * samples, [time · batch, …] in the order of time; everything that does not depend on the step before is
 * computed for all steps at once.
 */
import type { GraphBuilder } from '../builder.ts'
import { int } from '../graph.ts'

export interface Direction {
  builder: GraphBuilder
  steps: number
  batch: number
  hidden: number
  inputs: number
  /** From the last step to the first. */
  backwards: boolean
  /** [time · batch, inputs] */
  x: string
  /** [gates · hidden, inputs] */
  w: string
  /** [gates · hidden, hidden] */
  r: string
  /** The biases beside w and beside r, each [gates · hidden]. */
  biases: { w: string; r: string } | undefined
}

/** Gradients of a cell's outputs; undefined: none flows back. */
export interface CellGradients {
  /** [time · batch, hidden] */
  y: string | undefined
  /** Of the states after the last step, each [batch, hidden]. */
  states: readonly (string | undefined)[]
}

export interface CellBackward {
  /** Gradient of x · wᵀ: [time · batch, gates · hidden]. */
  projected: string
  /** Gradient of what is multiplied by r, and so of its bias; often the same. */
  recurrent: string
  /** h of the step before, for all steps: [time · batch, hidden]. */
  before: string
  /** Gradient of r, where it is not recurrentᵀ · before. */
  r?: () => string
  /** Of the states before the first step. */
  states: readonly string[]
}

export interface EmittedCell {
  /** [time · batch, hidden] */
  y: string
  /** After the last step: h, and for LSTM c; each [batch, hidden]. */
  states: readonly string[]
  backward: (gradients: CellGradients) => CellBackward
}

/** `states` are those before the first step. */
export type Cell = (direction: Direction, states: readonly string[]) => EmittedCell

/** x · wᵀ + bias, for all steps at once. */
export function projectedInput({ builder, x, w }: Direction, bias: string | undefined): string {
  return builder.add('Gemm', bias === undefined ? [x, w] : [x, w, bias], { transB: int(1) })
}

export function sumOfBiases({ builder, biases }: Direction): string | undefined {
  return biases && builder.add('Add', [biases.w, biases.r])
}

/** For each step the value of the step before, and `first` for the first. */
export function shifted(direction: Direction, value: string, first: string): string {
  const { builder, steps, batch, backwards } = direction
  if (steps === 1) return first
  const rows = backwards ? [batch, steps * batch] : [0, (steps - 1) * batch]
  const rest = rowsOf(builder, value, rows)
  return builder.add('Concat', backwards ? [rest, first] : [first, rest], { axis: int(0) })
}

/**
 * How gradients of h enter the backward pass: before its first step, that of the last h; and at every step, that of
 * the h before it (undefined where nothing but the last h is used).
 */
export function hiddenGradients(
  direction: Direction,
  { y, states }: CellGradients,
): { start: string; before: string | undefined } {
  const { builder, steps, batch, backwards } = direction
  const [final] = states
  if (y === undefined) return { start: final ?? zeros(direction), before: undefined }
  const last = rowsOf(builder, y, backwards ? [0, batch] : [(steps - 1) * batch, steps * batch])
  return {
    start: final === undefined ? last : builder.add('Add', [last, final]),
    before: shifted(direction, y, zeros(direction)),
  }
}

export function zeros({ builder, batch, hidden }: Direction): string {
  return builder.add('ConstantOfShape', [builder.int64([batch, hidden])])
}

function rowsOf(builder: GraphBuilder, value: string, rows: readonly number[]): string {
  const [start = 0, end = 0] = rows
  return builder.add('Slice', [value, ...[[start], [end], [0]].map((bounds) => builder.int64(bounds))])
}

/** Columns, each part as wide as given. */
export function columns(builder: GraphBuilder, value: string, widths: readonly number[]): string[] {
  return builder.addSeveral('Split', [value, builder.int64(widths)], widths.length, { axis: int(1) })
}

export function sideBySide(builder: GraphBuilder, values: readonly string[]): string {
  return builder.add('Concat', values, { axis: int(1) })
}

/** aᵀ · b */
export function transposedProduct(builder: GraphBuilder, a: string, b: string): string {
  return builder.add('Gemm', [a, b], { transA: int(1) })
}

/** y · (1 - y), the derivative of y = sigmoid(x). */
export function sigmoidSlope(builder: GraphBuilder, y: string): string {
  return builder.add('Mul', [y, builder.add('Sub', [builder.scalar(1), y])])
}

/** 1 - y², the derivative of y = tanh(x). */
export function tanhSlope(builder: GraphBuilder, y: string): string {
  return builder.add('Sub', [builder.scalar(1), builder.add('Mul', [y, y])])
}
