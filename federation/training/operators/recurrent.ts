/*
 * LSTM, GRU and RNN: forward, reverse and bidirectional, with initial states, and any of their outputs used. In
 * evaluation they stay as they are; in training they are computed from their parts, which the backward pass needs.
 */
import type { GraphBuilder } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { describeNode, int, intOf, type Node, stringOf } from '../graph.ts'
import { gruResetAfter, gruResetBefore } from './gru.ts'
import { lstm } from './lstm.ts'
import {
  type Backward,
  emitAsIs,
  type Emitter,
  input,
  type InputGradients,
  type Operator,
} from './operator.ts'
import {
  type Cell,
  type CellBackward,
  type CellGradients,
  columns,
  type Direction,
  type EmittedCell,
  sideBySide,
  transposedProduct,
  zeros,
} from './recurrent-cell.ts'
import { rnn } from './rnn.ts'

interface Kind {
  cell: (node: Node) => Cell
  gates: number
  /** Positions of the states among the inputs; their last values are outputs 1 and following. */
  states: readonly number[]
  /** Of one direction. */
  activations: readonly string[]
}

const KINDS: Readonly<Record<string, Kind>> = {
  LSTM: { cell: () => lstm, gates: 4, states: [5, 6], activations: ['sigmoid', 'tanh', 'tanh'] },
  GRU: {
    cell: (node) => (intOf(node, 'linear_before_reset', 0) === 0 ? gruResetBefore : gruResetAfter),
    gates: 3,
    states: [5],
    activations: ['sigmoid', 'tanh'],
  },
  RNN: { cell: () => rnn, gates: 1, states: [5], activations: ['tanh'] },
}

const PEEPHOLES = 7

function operatorOf(kind: Kind): Operator {
  return {
    outputs: 1 + kind.states.length,
    refuse: (node) => refusalOf(node, kind),
    emit: (node, emitter) => {
      refuseShorterSequences(node, emitter)
      if (emitter.mode === 'evaluation') {
        emitAsIs(node, emitter)
        return () => []
      }
      return emitDirections(node, kind, emitter)
    },
  }
}

function refusalOf(node: Node, { activations }: Kind): string | undefined {
  if (input(node, PEEPHOLES) !== '') return 'it has peepholes (input P); only cells without are supported'
  if (node.attributes['clip']) return 'it has clip; it must be absent'
  if (intOf(node, 'layout', 0) !== 0) return 'its layout is 1; only 0 (time first) is supported'
  if (intOf(node, 'input_forget', 0) !== 0) return 'its input_forget is 1; only 0 is supported'
  const given = node.attributes['activations']
  if (given?.kind !== 'strings') return undefined
  const usual = given.value.every(
    (name, index) => name.toLowerCase() === activations[index % activations.length],
  )
  return usual
    ? undefined
    : `its activations are ${given.value.join(', ')}; supported are ${activations.join(', ')}`
}

function refuseShorterSequences(node: Node, { shape, constant }: Emitter): void {
  if (input(node, 4) === '') return
  const lengths = constant(input(node, 4))
  const [steps = 0] = shape(input(node, 0))
  if (lengths && Array.from(lengths.data, Number).every((length) => length === steps)) return
  throw new ModelError(
    `${describeNode(node)}: its sequence_lens ${lengths ? `are not all ${steps}` : 'are computed from data'}; ` +
      'only sequences as long as the input are supported',
  )
}

function emitDirections(node: Node, kind: Kind, emitter: Emitter): Backward {
  const { builder } = emitter
  const directions = directionsOf(node, kind, emitter)
  const initial = kind.states.map((position) => initialStates(node, position, directions, emitter))
  const parts = directions.map((direction, index) => {
    const states = initial.map((values) => values[index] ?? unreachable())
    return { direction, cell: kind.cell(node)(direction, states) }
  })
  const sequences = parts.map(({ cell, direction: { steps, batch, hidden } }) =>
    builder.reshape(cell.y, [steps, 1, batch, hidden]),
  )
  emitJoined(node, 0, { values: sequences, axis: 1 }, emitter)
  for (const index of kind.states.keys()) {
    const finals = parts.map(({ cell, direction: { batch, hidden } }) =>
      builder.reshape(cell.states[index] ?? unreachable(), [1, batch, hidden]),
    )
    emitJoined(node, index + 1, { values: finals, axis: 0 }, emitter)
  }
  return { ofOutputs: (dys) => inputGradients(node, kind, { emitter, parts, dys }) }
}

/** The node's output with this index, if it is used: the directions side by side. */
function emitJoined(
  node: Node,
  index: number,
  { values, axis }: { values: readonly string[]; axis: number },
  { builder }: Emitter,
): void {
  const name = node.outputs[index] ?? ''
  if (name === '') return
  builder.append({ op: 'Concat', name, inputs: values, outputs: [name], attributes: { axis: int(axis) } })
}

function directionsOf(node: Node, { gates }: Kind, { builder, shape }: Emitter): Direction[] {
  const [steps = 1, batch = 1, inputs = 1] = shape(input(node, 0))
  const [count = 1, , hidden = 1] = shape(input(node, 2))
  const x = builder.reshape(input(node, 0), [steps * batch, inputs])
  const matrices = (position: number, columns: number): string[] =>
    parted(builder, input(node, position), { count, axis: 0 }).map((part) =>
      builder.reshape(part, [gates * hidden, columns]),
    )
  const [w, r] = [matrices(1, inputs), matrices(2, hidden)]
  const biases = input(node, 3) === '' ? undefined : parted(builder, input(node, 3), { count, axis: 0 })
  const backwardsFirst = stringOf(node, 'direction', 'forward') === 'reverse'
  return w.map((ofInput, index) => ({
    builder,
    steps,
    batch,
    hidden,
    inputs,
    backwards: backwardsFirst || index === 1,
    x,
    w: ofInput,
    r: r[index] ?? '',
    biases: biases && biasesOf(builder, biases[index] ?? '', gates * hidden),
  }))
}

/** One slice of the axis for each direction. */
function parted(
  builder: GraphBuilder,
  value: string,
  { count, axis }: { count: number; axis: number },
): string[] {
  if (count === 1) return [value]
  return builder.addSeveral('Split', [value], count, { axis: int(axis), num_outputs: int(count) })
}

function biasesOf(builder: GraphBuilder, value: string, size: number): Direction['biases'] {
  const halves = { axis: int(0), num_outputs: int(2) }
  const [w = '', r = ''] = builder.addSeveral('Split', [builder.reshape(value, [2 * size])], 2, halves)
  return { w, r }
}

/** For each direction: as given, or zeros. */
function initialStates(
  node: Node,
  position: number,
  directions: readonly Direction[],
  { builder }: Emitter,
): string[] {
  const given = input(node, position)
  if (given === '') return directions.map(zeros)
  return parted(builder, given, { count: directions.length, axis: 0 }).map((part, index) => {
    const { batch, hidden } = directions[index] ?? unreachable()
    return builder.reshape(part, [batch, hidden])
  })
}

interface OneDirection {
  direction: Direction
  cell: EmittedCell
}

type Gradient = string | undefined

/** Gradients of X, W, R, B and, at their positions, of the initial states. */
function inputGradients(
  node: Node,
  kind: Kind,
  { emitter, parts, dys }: { emitter: Emitter; parts: readonly OneDirection[]; dys: readonly Gradient[] },
): InputGradients {
  const { builder, shape } = emitter
  const directions = cellGradients(builder, parts, dys).map((gradients, index) => {
    const { direction, cell } = parts[index] ?? unreachable()
    const back = cell.backward(gradients)
    return { w: direction.w, back, of: weightGradients(direction, back) }
  })
  type Back = (typeof directions)[number]
  const joined = (part: (direction: Back) => string, position: number) => (): string => {
    const whole = builder.add('Concat', directions.map(part), { axis: int(0) })
    return builder.reshape(whole, shape(input(node, position)))
  }
  const gradients: ((() => string) | undefined)[] = [
    () => {
      const sums = directions.map(({ w, back }) => builder.add('Gemm', [back.projected, w]))
      return builder.reshape(builder.sum(sums), shape(input(node, 0)))
    },
    joined(({ of }) => of.w(), 1),
    joined(({ of }) => of.r(), 2),
    joined(({ back }) => {
      const sums = [back.projected, back.recurrent].map((value) => builder.reduceSum(value, [0], false))
      return builder.add('Concat', sums, { axis: int(0) })
    }, 3),
  ]
  for (const [index, position] of kind.states.entries()) {
    gradients[position] = joined(({ back }) => back.states[index] ?? unreachable(), position)
  }
  return gradients
}

interface WeightGradients {
  w: () => string
  r: () => string
}

function weightGradients({ builder, hidden, inputs, x }: Direction, back: CellBackward): WeightGradients {
  const { projected, recurrent, before, r } = back
  if (r || projected !== recurrent) {
    return {
      w: () => transposedProduct(builder, projected, x),
      r: r ?? (() => transposedProduct(builder, recurrent, before)),
    }
  }
  // Both in one product, which reads the gradients of all steps once.
  let parts: string[] | undefined
  const part = (index: number): string => {
    parts ??= columns(builder, transposedProduct(builder, recurrent, sideBySide(builder, [x, before])), [
      inputs,
      hidden,
    ])
    return parts[index] ?? unreachable()
  }
  return { w: () => part(0), r: () => part(1) }
}

/** The gradients of the node's outputs, for each direction. */
function cellGradients(
  builder: GraphBuilder,
  parts: readonly OneDirection[],
  [dy, ...dStates]: readonly Gradient[],
): CellGradients[] {
  const ofY = dy === undefined ? [] : parted(builder, dy, { count: parts.length, axis: 1 })
  const ofStates = dStates.map((given) =>
    given === undefined ? [] : parted(builder, given, { count: parts.length, axis: 0 }),
  )
  return parts.map(({ direction: { steps, batch, hidden } }, index) => {
    const shaped = (value: Gradient, rows: number): Gradient =>
      value && builder.reshape(value, [rows, hidden])
    return {
      y: shaped(ofY[index], steps * batch),
      states: ofStates.map((state) => shaped(state[index], batch)),
    }
  })
}

function unreachable(): never {
  throw new Error('unreachable: every direction has its cell and its states')
}

const recurrentOperators = Object.entries(KINDS).map(([op, kind]) => [op, operatorOf(kind)] as const)

export const recurrent: Readonly<Record<string, Operator>> = Object.fromEntries(recurrentOperators)
