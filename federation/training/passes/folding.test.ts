import { describe, expect, it } from 'vitest'

import { floatTensor, type Graph, int64Tensor } from '../graph.ts'
import { node } from '../testdata/models.ts'

import { folded } from './folding.ts'

const GRAPH: Graph = {
  inputs: [{ name: 'x', type: 'float32', shape: [2] }],
  outputs: [{ name: 'y' }, { name: 'z' }],
  initializers: new Map([
    ['two', floatTensor([1, 2], [2])],
    ['size', int64Tensor([5000])],
    ['all', int64Tensor([0])],
  ]),
  nodes: [
    node('Mul', ['two', 'two'], 'a'),
    node('Add', ['a', 'two'], 'b'),
    node('ConstantOfShape', ['size'], 'large'),
    node('ReduceSum', ['large', 'all'], 'total'),
    node('Mul', ['x', 'b'], 'c'),
    node('Add', ['c', 'total'], 'y'),
    node('Neg', ['two'], 'z'),
  ],
}

describe('constant folding', () => {
  it('computes what depends on constants alone, and keeps outputs and large values as they are made', async () => {
    const { nodes, initializers } = await folded(GRAPH)
    expect(nodes.map(({ outputs }) => outputs[0])).toEqual(['large', 'total', 'c', 'y', 'z'])
    expect(initializers.get('b')).toEqual(floatTensor([2, 6], [2]))
    expect([...initializers.keys()].sort()).toEqual(['all', 'b', 'size', 'two'])
  })

  it('leaves a graph without such nodes alone', async () => {
    const graph = { ...GRAPH, nodes: [node('Relu', ['x'], 'y')], outputs: [{ name: 'y' }] }
    expect(await folded(graph)).toBe(graph)
  })
})
