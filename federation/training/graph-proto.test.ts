import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, it } from 'vitest'

import { GraphBuilder } from './builder.ts'
import { type Graph, int, valuesRead } from './graph.ts'
import { prune } from './prune.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

it('writes a body that uses a value from outside, and prune keeps what makes that value', async () => {
  const builder = new GraphBuilder([])
  const start = builder.input('start', [])
  const sequence = builder.input('sequence', [3])
  const factor = builder.add('Add', [start, builder.scalar(1)])
  builder.add('Neg', [start])
  const body: Graph = {
    inputs: [
      { name: 'sum', type: 'float32', shape: [] },
      { name: 'element', type: 'float32', shape: [] },
    ],
    outputs: [{ name: 'next' }, { name: 'scaled' }],
    initializers: new Map(),
    nodes: [
      { op: 'Mul', name: '', inputs: ['element', factor], outputs: ['scaled'], attributes: {} },
      { op: 'Add', name: '', inputs: ['sum', 'scaled'], outputs: ['next'], attributes: {} },
    ],
  }
  builder.append({
    op: 'Scan',
    name: '',
    inputs: [start, sequence],
    outputs: ['total', 'each'],
    attributes: { body: { kind: 'graph', value: body }, num_scan_inputs: int(1) },
  })
  const graph = prune(builder, [
    { name: 'total', type: 'float32', shape: [] },
    { name: 'each', type: 'float32', shape: [3] },
  ])
  expect(graph.nodes.map(({ op }) => op)).toEqual(['Add', 'Scan'])

  const session = await InferenceSession.create(writeModel(graph, 'test', COMPILED_OPSET))
  const feeds = {
    [start]: new Tensor('float32', [1], []),
    [sequence]: new Tensor('float32', [1, 2, 3], [3]),
  }
  const { total, each } = await session.run(feeds)
  await session.release()
  expect(total?.data).toEqual(Float32Array.of(13))
  expect(each?.data).toEqual(Float32Array.of(2, 4, 6))
})

it('knows what bodies inside bodies read', () => {
  const inner: Graph = { inputs: [], outputs: [{ name: 'outer' }], initializers: new Map(), nodes: [] }
  const body: Graph = {
    inputs: [{ name: 'own', type: 'bool', shape: [] }],
    outputs: [{ name: 'own' }],
    initializers: new Map(),
    nodes: [
      {
        op: 'If',
        name: '',
        inputs: ['own'],
        outputs: [],
        attributes: { x: { kind: 'graph', value: inner } },
      },
    ],
  }
  const attributes = { body: { kind: 'graph', value: body } } as const
  const read = valuesRead({ op: 'Loop', name: '', inputs: ['count'], outputs: [], attributes })
  expect([...read]).toEqual(['count', 'outer'])
})
