/*
 * A step that is repeated along time, each time from the states that the step before left. Short ones are written out
 * step by step; long ones become a Scan, so that neither the graph nor the time to load it grows with their length.
 */
import type { GraphBuilder } from '../builder.ts'
import { type Attribute, int, ints } from '../graph.ts'

export interface Recurrence {
  steps: number
  /** Rows of each step: the batch. */
  rows: number
  /** From the last step to the first. */
  backwards: boolean
  /** The states before the step that is taken first, each [rows, …]. */
  states: readonly string[]
  /** What each step reads: [steps · rows, …], in the order of time. */
  sequences: readonly string[]
  step: (builder: GraphBuilder, values: StepValues) => Stepped
}

interface StepValues {
  states: readonly string[]
  /** This step's part, [rows, …], of each sequence. */
  elements: readonly string[]
}

/** All made by the step itself: ONNX Runtime's Scan does not pass on rightly what it was given. */
interface Stepped {
  states: readonly string[]
  outputs: readonly string[]
}

export interface Recurred {
  /** The states after the step that is taken last. */
  states: readonly string[]
  /** The outputs of all steps: [steps · rows, …], in the order of time. */
  outputs: readonly string[]
}

/** Measured: from 12 steps on a Scan is as fast or faster, and loads in a third of the time. */
const LONGEST_UNROLLED = 8

export function emitRecurrence(builder: GraphBuilder, recurrence: Recurrence): Recurred {
  return recurrence.steps <= LONGEST_UNROLLED ? unrolled(builder, recurrence) : scanned(builder, recurrence)
}

function unrolled(builder: GraphBuilder, recurrence: Recurrence): Recurred {
  const { steps, backwards, sequences, step } = recurrence
  const parts = sequences.map((sequence) => {
    if (steps === 1) return [sequence]
    return builder.addSeveral('Split', [sequence], steps, { axis: int(0), num_outputs: int(steps) })
  })
  const times = Array.from({ length: steps }, (_, time) => time)
  let { states } = recurrence
  const outputs: (readonly string[])[] = []
  for (const time of backwards ? times.toReversed() : times) {
    const stepped = step(builder, { states, elements: parts.map((part) => part[time] ?? '') })
    states = stepped.states
    outputs[time] = stepped.outputs
  }
  const joined = (outputs[0] ?? []).map((_, index) => {
    const ofSteps = outputs.map((ofStep) => ofStep[index] ?? '')
    return steps === 1 ? (ofSteps[0] ?? '') : builder.add('Concat', ofSteps, { axis: int(0) })
  })
  return { states, outputs: joined }
}

function scanned(builder: GraphBuilder, recurrence: Recurrence): Recurred {
  const { steps, rows, backwards, sequences, states } = recurrence
  const stacked = sequences.map((sequence) => builder.reshape(sequence, [steps, rows, -1]))
  const { body, outputs } = bodyOf(builder, recurrence)
  const direction = backwards ? 1 : 0
  const results = builder.addSeveral('Scan', [...states, ...stacked], states.length + outputs, {
    body,
    num_scan_inputs: int(sequences.length),
    scan_input_directions: ints(sequences.map(() => direction)),
    scan_output_directions: ints(Array<number>(outputs).fill(direction)),
  })
  return {
    states: results.slice(0, states.length),
    outputs: results.slice(states.length).map((result) => builder.reshape(result, [steps * rows, -1])),
  }
}

function bodyOf(builder: GraphBuilder, recurrence: Recurrence): { body: Attribute; outputs: number } {
  const { rows, states, sequences, step } = recurrence
  const body = builder.body()
  const inputs = (values: readonly string[], base: string): string[] =>
    values.map(() => {
      const name = body.fresh(base)
      body.inputs.push({ name, type: 'float32', shape: [rows, ''] })
      return name
    })
  const before = inputs(states, 'state')
  const stepped = step(body, { states: before, elements: inputs(sequences, 'element') })
  const after = [...stepped.states, ...stepped.outputs]
  // What is both a state and an output needs two names.
  const names = after.map((name, index) =>
    after.indexOf(name) < index ? body.add('Identity', [name]) : name,
  )
  const { nodes, initializers } = body
  const outputs = names.map((name) => ({ name }))
  return {
    body: { kind: 'graph', value: { inputs: body.inputs, outputs, initializers, nodes } },
    outputs: stepped.outputs.length,
  }
}
