/*
 * Every operator's value and gradients, over its attributes, against what PyTorch computes in float64
 * (testdata/make_operators.py and its like, one for each golden file), through ONNX Runtime in float32.
 */
import { readFileSync } from 'node:fs'

import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { emitBackward } from './backward.ts'
import { emitForward } from './emit.ts'
import {
  type Attribute,
  float,
  floatTensor,
  int,
  int64Tensor,
  ints,
  type Node,
  type TensorValue,
  type ValueInfo,
} from './graph.ts'
import { OPERATORS } from './operators/index.ts'
import { elementCount } from './manifest.ts'
import type { Prepared } from './prepare.ts'
import { prune } from './prune.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

const numbers = z.array(z.number())
const values = z.object({ shape: numbers, data: numbers })
const Constant = z.union([z.number(), z.null(), numbers, z.object({ int64: numbers })])
const GivenAttribute = z.union([z.number(), z.string(), numbers, z.object({ float: z.number() })])
const Case = z.object({
  name: z.string(),
  op: z.string(),
  attributes: z.record(z.string(), GivenAttribute),
  inputs: z.array(values),
  constants: z.record(z.string(), Constant),
  y: values,
  dy: numbers,
  gradients: z.array(numbers.nullable()),
  row_mask: numbers.optional(),
  uniform: numbers.optional(),
  state: z.array(numbers).optional(),
  newState: z.array(numbers).optional(),
  /** Shapes of the outputs of a node with several, null where one is not used; `y` is all of them, flat. */
  outputs: z.array(numbers.nullable()).optional(),
})
type Case = z.infer<typeof Case>

const FILES = ['operators.jsonl', 'convolutions.jsonl']

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
    expectClose(run.y, given.y.data)
    for (const [index, gradient] of given.gradients.entries()) {
      if (gradient) expectClose(run.gradients[index] ?? [], gradient)
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

interface CaseRun {
  y: number[]
  gradients: (number[] | undefined)[]
  newState: number[][]
}

async function runCase(given: Case): Promise<CaseRun> {
  const { prepared, constants } = prepare(given)
  const batchSize = given.inputs[0]?.shape[0] ?? 1
  const shapes = new Map([
    [prepared.input.name, [batchSize]],
    ['y', given.y.shape],
    ...outputShapes(given),
    ...[...constants].map(([name, { shape }]) => [name, shape] as const),
    ...prepared.parameters.map(({ name, value }) => [name, value.shape] as const),
  ])
  const types = new Map([...shapes.keys()].map((name) => [name, constants.get(name)?.type ?? 'float32']))
  const forward = emitForward(prepared, { shapes, types, constants }, 'training')
  const { builder } = forward
  const dy = builder.input('dy', given.y.shape)
  const learning = prepared.parameters.filter(({ trainable }) => trainable).map(({ name }) => name)
  const gradients = emitBackward(forward, { output: 'y', dy }, learning)
  const fetches = ['y', ...gradients.values(), ...forward.newState.values()]
  const outputs = [...new Set(fetches)].filter((name) => name !== dy).map(untyped)

  const feeds: Record<string, Tensor> = {
    [prepared.input.name]: tensor(Array<number>(batchSize).fill(0), [batchSize]),
    [forward.sampleWeight]: tensor(given.row_mask ?? Array<number>(batchSize).fill(1), [batchSize]),
    [dy]: tensor(given.dy, given.y.shape),
  }
  for (const { name, value } of prepared.parameters) feeds[name] = tensor([...floats(value)], value.shape)
  for (const { name, shape } of forward.uniforms) feeds[name] = tensor(given.uniform ?? [], shape)
  const session = await InferenceSession.create(writeModel(prune(builder, outputs), 'test', COMPILED_OPSET), {
    intraOpNumThreads: 1,
  })
  const result = await session.run(feeds)
  await session.release()
  const read = (name: string | undefined): number[] | undefined => {
    const found = name === dy ? feeds[dy] : result[name ?? '']
    return found && Array.from(found.data, Number)
  }
  return {
    y: read('y') ?? [],
    gradients: learning.map((name) => read(gradients.get(name))),
    newState: [...forward.newState.values()].map((name) => read(name) ?? []),
  }
}

/** The case as a graph of one node whose inputs are all parameters, so that each gets a gradient. */
function prepare(given: Case): { prepared: Prepared; constants: Map<string, TensorValue> } {
  const inputs: string[] = []
  const constants = new Map<string, TensorValue>()
  for (const [position, constant] of Object.entries(given.constants)) {
    const name = constant === null ? '' : `constant${position}`
    inputs[Number(position)] = name
    if (constant !== null) constants.set(name, constantTensor(constant))
  }
  for (const index of given.inputs.keys()) inputs[firstFree(inputs)] = `input${index}`
  const state = (given.state ?? []).map((data, index) => {
    const name = `state${index}`
    inputs.push(name)
    return { name, value: floatTensor(data, [data.length]), trainable: false, initializer: name }
  })
  const learning = given.inputs.map(({ shape, data }, index) => {
    const name = `input${index}`
    return { name, value: floatTensor(data, shape), trainable: true, initializer: name }
  })
  const attributes = Object.fromEntries(
    Object.entries(given.attributes).map(([name, value]) => [name, attribute(value)]),
  )
  const nodes = nodesOf(given, { op: given.op, name: 'tested', inputs, outputs: ['y'], attributes })
  const input: ValueInfo = { name: 'unused', type: 'float32', shape: [1] }
  const model = {
    opset: COMPILED_OPSET,
    inputs: [input],
    outputs: [{ name: 'y' }],
    initializers: new Map(),
    nodes,
  }
  const parameters = [...learning, ...state]
  return {
    prepared: { model, input, output: 'y', parameters, nodes, constants: new Set(constants.keys()) },
    constants,
  }
}

function firstFree(inputs: readonly string[]): number {
  const free = Array.from(inputs).indexOf(undefined as unknown as string)
  return free < 0 ? inputs.length : free
}

/** The tested node; one with several outputs is followed by nodes that lay all that are used side by side. */
function nodesOf({ outputs }: Case, node: Node): Node[] {
  if (!outputs) return [node]
  const names = outputs.map((shape, index) => (shape ? `output${index}` : ''))
  const used = names.filter((name) => name !== '')
  const flat = used.map((name): Node => {
    return {
      op: 'Flatten',
      name: '',
      inputs: [name],
      outputs: [`flat ${name}`],
      attributes: { axis: int(0) },
    }
  })
  const all = flat.flatMap((flattened) => flattened.outputs)
  const concat: Node = { op: 'Concat', name: '', inputs: all, outputs: ['y'], attributes: { axis: int(1) } }
  return [{ ...node, outputs: names }, ...flat, concat]
}

function outputShapes({ outputs }: Case): [string, number[]][] {
  return (outputs ?? []).flatMap((shape, index): [string, number[]][] => {
    if (!shape) return []
    const name = `output${index}`
    return [
      [name, shape],
      [`flat ${name}`, [1, elementCount(shape)]],
    ]
  })
}

function constantTensor(constant: NonNullable<z.infer<typeof Constant>>): TensorValue {
  if (typeof constant === 'number') return floatTensor([constant], [])
  return Array.isArray(constant) ? floatTensor(constant, [constant.length]) : int64Tensor(constant.int64)
}

function attribute(value: z.infer<typeof GivenAttribute>): Attribute {
  if (typeof value === 'number') return int(value)
  if (typeof value === 'string') return { kind: 'string', value }
  return Array.isArray(value) ? ints(value) : float(value.float)
}

function untyped(name: string): ValueInfo {
  return { name } as ValueInfo
}

function tensor(data: readonly number[], shape: readonly number[]): Tensor {
  return new Tensor('float32', Float32Array.from(data), shape)
}

function floats({ data }: TensorValue): Float32Array {
  return data instanceof Float32Array ? data : new Float32Array(0)
}

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got.length).toBe(want.length)
  const scale = Math.max(1, ...want.map(Math.abs))
  const worst = Math.max(...want.map((value, index) => Math.abs((got[index] ?? NaN) - value))) / scale
  expect(worst).toBeLessThan(TOLERANCE)
}
