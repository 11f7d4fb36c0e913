/*
 * For tests: compares the gradients that the compiler emits with central differences of the operator itself. Many cases
 * share one graph, so that one run of it moves an element of each. The differences are taken in float64 where ONNX
 * Runtime has the operator in float64, and of fourth order in float32 where it has not.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'

import type { Node, TensorValue, ValueInfo } from '../graph.ts'
import { OPSETS } from '../model.ts'
import { someNumbers } from '../testdata/models.ts'
import { writeModel } from '../write.ts'
import { runGraph } from './graph-run.ts'
import type { Mismatch, NodeCase } from './node-case.ts'

type Precision = 'float64' | 'float32'

/** Steps, their weights in the difference, and what the gradient may be away from it, relative to the largest. */
const STENCILS = {
  float64: { step: 1e-4, weights: [[1, 1 / 2] as const], tolerance: 1e-4 },
  float32: { step: 8e-3, weights: [[1, 2 / 3] as const, [2, -1 / 12] as const], tolerance: 4e-3 },
}

export async function mismatches(cases: readonly NodeCase[]): Promise<Mismatch[]> {
  const gradients = await gradientsOf(cases)
  const found: Mismatch[] = []
  for (const precision of ['float64', 'float32'] as const) {
    const chosen: number[] = []
    for (const [index, given] of cases.entries()) {
      if ((await precisionOf(given)) === precision) chosen.push(index)
    }
    if (chosen.length === 0) continue
    const differences = await differencesOf(cases, chosen, precision)
    for (const index of chosen) {
      const given = cases[index]
      if (given)
        found.push(...compared(given, gradients(index), differences(index), STENCILS[precision].tolerance))
    }
  }
  return found
}

/** By input, then element. */
type Gradients = (input: number) => readonly number[]

function compared(given: NodeCase, got: Gradients, want: Gradients, tolerance: number): Mismatch[] {
  const scale = Math.max(1, ...given.learning.flatMap((input) => want(input).map(Math.abs)))
  return given.learning.flatMap((input) => {
    return want(input).flatMap((difference, element) => {
      const gradient = got(input)[element] ?? NaN
      const isClose = Math.abs(gradient - difference) <= tolerance * scale
      return isClose ? [] : [{ case: given, input, element, gradient, difference }]
    })
  })
}

const inputName = (index: number, input: number): string => `case${index}.in${input}`
const outputName = (index: number, output: number): string => `case${index}.out${output}`

function nodeOf(given: NodeCase, index: number): Node {
  const inputs = given.inputs.map((value, input) => (value ? inputName(index, input) : ''))
  const outputs = Array.from({ length: given.outputs ?? 1 }, (_, output) => outputName(index, output))
  // TopK's indices are an output that may not be left out.
  if (given.op === 'TopK') outputs.push(outputName(index, 1))
  return { op: given.op, name: `case${index}`, inputs, outputs, attributes: given.attributes ?? {} }
}

function inputsOf(cases: readonly NodeCase[], learning: boolean): Record<string, TensorValue> {
  const entries = cases.flatMap((given, index) =>
    given.inputs.flatMap((value, input) => {
      return value && given.learning.includes(input) === learning
        ? [[inputName(index, input), value] as const]
        : []
    }),
  )
  return Object.fromEntries(entries)
}

/** The gradient of an output that the differences use too. */
const seedOf = (count: number): number[] => someNumbers(count, 3)

async function gradientsOf(cases: readonly NodeCase[]): Promise<(index: number) => Gradients> {
  const outputs = cases.flatMap((given, index) =>
    Array.from({ length: given.outputs ?? 1 }, (_, output) => ({
      name: outputName(index, output),
      dy: seedOf,
    })),
  )
  const run = await runGraph({
    nodes: cases.map(nodeOf),
    opset: OPSETS.highest,
    parameters: inputsOf(cases, true),
    constants: inputsOf(cases, false),
    outputs,
  })
  return (index) => (input) => run.gradients.get(inputName(index, input)) ?? []
}

/** By operator, and Gelu's form. */
const known = new Map<string, Precision>()

/** The first three load in float64, and then do not run; GroupNormalization takes its statistics in float32 all the same. */
const IN_FLOAT32: ReadonlySet<string> = new Set(['LSTM', 'GRU', 'RNN', 'GroupNormalization'])

async function precisionOf(given: NodeCase): Promise<Precision> {
  const form = given.attributes?.['approximate']
  const kind = form?.kind === 'string' ? `${given.op} ${form.value}` : given.op
  const found = known.get(kind)
  if (found) return found
  let precision: Precision = IN_FLOAT32.has(given.op) ? 'float32' : 'float64'
  try {
    const session = await sessionOf([[given, 0]], 'float64')
    await session.release()
  } catch {
    precision = 'float32'
  }
  known.set(kind, precision)
  return precision
}

type Indexed = readonly (readonly [NodeCase, number])[]

function sessionOf(cases: Indexed, precision: Precision): Promise<InferenceSession> {
  const inputs: ValueInfo[] = []
  const initializers = new Map<string, TensorValue>()
  for (const [given, index] of cases) {
    for (const [input, value] of given.inputs.entries()) {
      if (!value) continue
      const cast = inPrecision(value, precision)
      const name = inputName(index, input)
      if (given.learning.includes(input)) inputs.push({ name, type: cast.type, shape: [...cast.shape] })
      else initializers.set(name, cast)
    }
  }
  const nodes = cases.map(([given, index]) => nodeOf(given, index))
  const outputs = cases.flatMap(([given, index]) =>
    Array.from({ length: given.outputs ?? 1 }, (_, output) => ({ name: outputName(index, output) })),
  )
  const bytes = writeModel({ inputs, outputs, initializers, nodes }, 'differences', OPSETS.highest)
  return InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    graphOptimizationLevel: 'disabled',
  })
}

function inPrecision(value: TensorValue, precision: Precision): TensorValue {
  if (value.type !== 'float32') return value
  const numbers = Array.from(value.data, Number)
  const data = precision === 'float64' ? Float64Array.from(numbers) : Float32Array.from(numbers)
  return { type: precision, shape: value.shape, data }
}

/** An element of an input that learns; writing to `data` moves it. */
interface Place {
  data: Float64Array | Float32Array
  input: string
  element: number
}

async function differencesOf(
  cases: readonly NodeCase[],
  chosen: readonly number[],
  precision: Precision,
): Promise<(index: number) => Gradients> {
  const indexed = chosen.flatMap((index) => {
    const given = cases[index]
    return given ? [[given, index] as const] : []
  })
  const session = await sessionOf(indexed, precision)
  const feeds: Record<string, Tensor> = {}
  const places = new Map<number, Place[]>()
  for (const [given, index] of indexed) places.set(index, placesOf(given, { index, precision, feeds }))
  const results = new Map(
    Object.entries(feeds).map(([name, { data }]) => [name, Array<number>(data.length).fill(0)] as const),
  )
  const lossOf = (index: number, outputs: Outputs): number => {
    const count = cases[index]?.outputs ?? 1
    const parts = Array.from({ length: count }, (_, output) =>
      dot(outputs[outputName(index, output)]?.data ?? []),
    )
    return parts.reduce((sum, part) => sum + part, 0)
  }
  const most = Math.max(...[...places.values()].map((own) => own.length))
  for (let turn = 0; turn < most; turn++) {
    const moving = [...places].flatMap(([index, own]) => {
      const place = own[turn]
      return place ? [{ index, place }] : []
    })
    for (const { by, weight } of stencilPoints(precision)) {
      const outputs = await runMoved(session, feeds, { moving: moving.map(({ place }) => place), by })
      for (const { index, place } of moving) {
        const result = results.get(place.input) ?? []
        result[place.element] = (result[place.element] ?? 0) + weight * lossOf(index, outputs)
      }
    }
  }
  await session.release()
  return (index) => (input) => results.get(inputName(index, input)) ?? []
}

type Outputs = InferenceSession.ReturnType

/** Adds a case's inputs to the feeds. */
function placesOf(
  given: NodeCase,
  { index, precision, feeds }: { index: number; precision: Precision; feeds: Record<string, Tensor> },
): Place[] {
  return given.learning.flatMap((input) => {
    const value = given.inputs[input]
    if (!value) return []
    const { type, shape, data } = inPrecision(value, precision)
    if (!(data instanceof Float64Array || data instanceof Float32Array)) return []
    const name = inputName(index, input)
    feeds[name] = new Tensor(type, data, shape)
    return Array.from(data, (_, element) => ({ data, input: name, element }))
  })
}

function stencilPoints(precision: Precision): { by: number; weight: number }[] {
  const { step, weights } = STENCILS[precision]
  return weights.flatMap(([steps, weight]) => [
    { by: steps * step, weight: weight / step },
    { by: -steps * step, weight: -weight / step },
  ])
}

/** A run in which one element of every case is moved; afterwards all are where they were. */
async function runMoved(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  { moving, by }: { moving: readonly Place[]; by: number },
): Promise<Outputs> {
  const before = moving.map(({ data, element }) => data[element] ?? 0)
  for (const [index, { data, element }] of moving.entries()) data[element] = (before[index] ?? 0) + by
  const outputs = await session.run(feeds)
  for (const [index, { data, element }] of moving.entries()) data[element] = before[index] ?? 0
  return outputs
}

function dot(data: Iterable<unknown>): number {
  const values = Array.from(data, Number)
  const seed = seedOf(values.length)
  return values.reduce((sum, value, index) => sum + value * (seed[index] ?? 0), 0)
}
