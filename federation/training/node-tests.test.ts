/*
 * ONNX's own tests of single nodes (testdata/make_node_tests.py): reading a node, putting it in the compiled graph's form
 * and emitting it does not change what it computes.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import type { TensorValue } from './graph.ts'
import { type Model, readModel } from './model.ts'
import { OPERATORS } from './operators/index.ts'
import { runGraph } from './testing/graph-run.ts'

const element = z.union([z.number(), z.enum(['Infinity', '-Infinity', 'NaN'])])
const Case = z.object({
  name: z.string(),
  op: z.string(),
  model: z.base64(),
  outputs: z.array(z.object({ type: z.string(), shape: z.array(z.number()), data: z.array(element) })),
})

const cases = readFileSync(new URL('testdata/node-tests.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const { model, ...given } = Case.parse(JSON.parse(line))
    return { ...given, model: readModel(Buffer.from(model, 'base64')) }
  })

/** What training refuses of an operator that it otherwise takes. */
function refusalOf({ nodes, outputs }: Model): string | undefined {
  const [node] = nodes
  const operator = node && OPERATORS.get(node.op)
  if (!node || !operator) return 'no such operator'
  const usable = node.outputs.slice(0, operator.outputs ?? 1)
  if (outputs.some(({ name }) => !usable.includes(name))) return 'an output that is not supported'
  return operator.refuse?.(node)
}

const taken = cases.filter(({ model }) => refusalOf(model) === undefined)
const refused = cases.filter(({ model }) => refusalOf(model) !== undefined)

describe('a node of ONNX computes the same after compilation', () => {
  it.each(taken)('$name', async ({ model, outputs }) => {
    const { opset, nodes, initializers } = model
    const [data = ''] = nodes[0]?.inputs ?? []
    const isFloat = initializers.get(data)?.type === 'float32'
    const others = [...initializers].filter(([name]) => !isFloat || name !== data)
    const run = await runGraph({
      nodes,
      opset,
      parameters: Object.fromEntries([...initializers].filter(([name]) => isFloat && name === data)),
      constants: Object.fromEntries<TensorValue>(others),
      outputs: model.outputs,
      batchSize: initializers.get(data)?.shape[0] ?? 1,
      mode: 'evaluation',
    })
    for (const [index, want] of outputs.entries()) {
      const got = run.outputs.get(model.outputs[index]?.name ?? '')
      expect(got?.type).toBe(want.type)
      expect(got?.dims).toEqual(want.shape)
      expectClose(Array.from(got?.data ?? [], Number), want.data.map(Number))
    }
  })
})

describe('a node of ONNX is refused', () => {
  it('where it uses outputs or attributes of training that have no gradient', () => {
    const ops = [...new Set(refused.map(({ op }) => op))].sort()
    expect(ops).toEqual(['BatchNormalization', 'Dropout', 'MaxPool', 'ScatterElements', 'ScatterND'])
    expect(refused.length).toBeLessThan(taken.length / 20)
  })
})

/** NaN and infinities are themselves; some of ONNX's own numbers have few digits. */
function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got.length).toBe(want.length)
  const finite = want.filter(Number.isFinite).map(Math.abs)
  const scale = Math.max(1, ...finite)
  for (const [index, value] of want.entries()) {
    const found = got[index] ?? NaN
    if (Number.isFinite(value)) expect(Math.abs(found - value) / scale).toBeLessThan(1e-4)
    else expect(found).toBe(value)
  }
}
