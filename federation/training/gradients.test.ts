/*
 * Every operator's value and gradients, over its attributes, against what PyTorch computes in float64
 * (testdata/make_operators.py), through ONNX Runtime in float32.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import {
  type Attribute,
  float,
  floatTensor,
  int,
  int64Tensor,
  ints,
  type Node,
  type TensorValue,
} from './graph.ts'
import { OPERATORS } from './operators/index.ts'
import { type GraphRun, runGraph } from './testing/graph-run.ts'

const numbers = z.array(z.number())
const Values = z.object({ shape: numbers, data: numbers })
/** A number or a list is float32, null an input that is absent. */
const Constant = z.union([
  z.number(),
  z.null(),
  numbers,
  z.object({ int64: numbers }),
  z.object({ type: z.enum(['float32', 'int32', 'int64', 'bool']), shape: numbers, data: numbers }),
])
const GivenAttribute = z.union([z.number(), z.string(), numbers, z.object({ float: z.number() })])
const Case = z.object({
  name: z.string(),
  op: z.string(),
  attributes: z.record(z.string(), GivenAttribute),
  inputs: z.array(Values),
  constants: z.record(z.string(), Constant),
  /** null: an output that is not used. */
  outputs: z.array(Values.extend({ dy: numbers.optional() }).nullable()),
  gradients: z.array(numbers.nullable()),
  opset: z.number().optional(),
  row_mask: numbers.optional(),
  uniform: numbers.optional(),
  state: z.array(numbers).optional(),
  newState: z.array(numbers).optional(),
})
type Case = z.infer<typeof Case>

const FILES = ['operators.jsonl', 'convolutions.jsonl', 'recurrent.jsonl']

const cases = FILES.flatMap((file) =>
  readFileSync(new URL(`testdata/${file}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => Case.parse(JSON.parse(line))),
)

/** Relative to the largest element, as float32 sums cannot do better for small ones. */
const TOLERANCE = 2e-6

describe('the gradient of', () => {
  it.each(cases)('$name', async (given) => {
    const run = await runCase(given)
    for (const [index, output] of given.outputs.entries()) {
      if (output) expectClose(Array.from(run.outputs.get(outputName(index))?.data ?? [], Number), output.data)
    }
    for (const [index, gradient] of given.gradients.entries()) {
      if (gradient) expectClose(run.gradients.get(`input${index}`) ?? [], gradient)
    }
    for (const [index, state] of (given.newState ?? []).entries())
      expectClose(run.newState[index] ?? [], state)
  })
})

describe('the golden files', () => {
  it('have a case for every supported operator', () => {
    const tested = new Set(cases.map(({ op }) => op))
    expect([...OPERATORS.keys()].filter((op) => !tested.has(op))).toEqual([])
  })
})

/** The case as a graph of one node whose inputs are all parameters, so that each gets a gradient. */
function runCase(given: Case): Promise<GraphRun> {
  const inputs: string[] = []
  const constants: Record<string, TensorValue> = {}
  for (const [position, constant] of Object.entries(given.constants)) {
    const name = constant === null ? '' : `constant${position}`
    inputs[Number(position)] = name
    if (constant !== null) constants[name] = constantTensor(constant)
  }
  for (const index of given.inputs.keys()) inputs[firstFree(inputs)] = `input${index}`
  const state = (given.state ?? []).map((data, index) => {
    const name = `state${index}`
    inputs.push(name)
    return [name, floatTensor(data, [data.length])] as const
  })
  const attributes = Object.fromEntries(
    Object.entries(given.attributes).map(([name, value]) => [name, attribute(value)]),
  )
  const outputs = given.outputs.map((output, index) => (output ? outputName(index) : ''))
  const node: Node = { op: given.op, name: 'tested', inputs, outputs, attributes }
  return runGraph({
    nodes: [node],
    ...(given.opset !== undefined && { opset: given.opset }),
    parameters: Object.fromEntries(
      given.inputs.map(({ shape, data }, index) => [`input${index}`, floatTensor(data, shape)]),
    ),
    state: Object.fromEntries(state),
    constants,
    outputs: given.outputs.flatMap((output, index) => {
      return output ? [{ name: outputName(index), ...(output.dy && { dy: output.dy }) }] : []
    }),
    batchSize: given.inputs[0]?.shape[0] ?? 1,
    ...(given.row_mask && { rowMask: given.row_mask }),
    ...(given.uniform && { uniform: given.uniform }),
  })
}

/** Inputs that learn take the positions that constants leave. */
function firstFree(inputs: readonly string[]): number {
  const free = Array.from(inputs).indexOf(undefined as unknown as string)
  return free < 0 ? inputs.length : free
}

function outputName(index: number): string {
  return `y${index}`
}

function constantTensor(constant: NonNullable<z.infer<typeof Constant>>): TensorValue {
  if (typeof constant === 'number') return floatTensor([constant], [])
  if (Array.isArray(constant)) return floatTensor(constant, [constant.length])
  if ('int64' in constant) return int64Tensor(constant.int64)
  const { type, shape, data } = constant
  if (type === 'float32') return floatTensor(data, shape)
  if (type === 'int32') return { type, shape, data: Int32Array.from(data) }
  return { type, shape, data: type === 'bool' ? Uint8Array.from(data) : BigInt64Array.from(data, BigInt) }
}

function attribute(value: z.infer<typeof GivenAttribute>): Attribute {
  if (typeof value === 'number') return int(value)
  if (typeof value === 'string') return { kind: 'string', value }
  return Array.isArray(value) ? ints(value) : float(value.float)
}

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got.length).toBe(want.length)
  const scale = Math.max(1, ...want.map(Math.abs))
  const worst = Math.max(...want.map((value, index) => Math.abs((got[index] ?? NaN) - value)), 0) / scale
  expect(worst).toBeLessThan(TOLERANCE)
}
