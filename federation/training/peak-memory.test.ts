import { describe, expect, it } from 'vitest'

import { type Graph, int, type Node, type ValueInfo } from './graph.ts'
import type { Inferred } from './infer.ts'
import { peakBytes } from './peak-memory.ts'
import { node } from './testdata/models.ts'

const float = (...shape: number[]): Inferred => ({ type: 'float32', shape })
const info = (name: string, ...shape: number[]): ValueInfo => ({ name, type: 'float32', shape })

function graphOf(nodes: Node[], outputs = ['y']): Graph {
  return {
    inputs: [info('x', 100)],
    outputs: outputs.map((name) => ({ name })),
    initializers: new Map(),
    nodes,
  }
}

const SHAPES = new Map(['x', 'a', 'b', 'c', 'v', 'y'].map((name) => [name, float(100)] as [string, Inferred]))

const CASES: { name: string; graph: Graph; shapes?: Map<string, Inferred>; want: number }[] = [
  { name: 'is nothing where all is given', graph: graphOf([node('Relu', ['x'], 'y')]), want: 0 },
  {
    name: 'is the operand and the result of a chain',
    graph: graphOf([
      node('Exp', ['x'], 'a'),
      node('Exp', ['a'], 'b'),
      node('Exp', ['b'], 'c'),
      node('Exp', ['c'], 'y'),
    ]),
    want: 800,
  },
  {
    name: 'has what is read once more later',
    graph: graphOf([
      node('Exp', ['x'], 'a'),
      node('Exp', ['a'], 'b'),
      node('Exp', ['b'], 'c'),
      node('Mul', ['c', 'a'], 'y'),
    ]),
    want: 1200,
  },
  {
    name: 'counts a view not at all, and what it shows for as long as the view is read',
    graph: graphOf([
      node('Exp', ['x'], 'a'),
      node('Reshape', ['a', 'shape'], 'v'),
      node('Exp', ['x'], 'b'),
      node('Mul', ['v', 'b'], 'y'),
    ]),
    want: 800,
  },
  {
    name: 'goes by the order in which nodes run, not by that in which they are listed',
    graph: graphOf(
      [node('Exp', ['x'], 'a'), node('Exp', ['x'], 'b'), node('Exp', ['b'], 'y'), node('Exp', ['a'], 'z')],
      ['y', 'z'],
    ),
    want: 400,
  },
  {
    name: 'knows the size of an element',
    graph: graphOf([node('Greater', ['x', 'zero'], 'a'), node('Cast', ['a'], 'y', { to: int(1) })]),
    shapes: new Map([['a', { type: 'bool', shape: [100] }]]),
    want: 100,
  },
  {
    name: 'has the inputs and outputs of a loop’s body',
    graph: graphOf([
      node('Loop', ['count', '', 'x'], 'y', {
        body: {
          kind: 'graph',
          value: {
            inputs: [info('i', 100)],
            outputs: [info('o', 100)],
            initializers: new Map(),
            nodes: [node('Exp', ['i'], 'o')],
          },
        },
      }),
    ]),
    want: 800,
  },
]

describe('the peak of a graph’s values', () => {
  it.each(CASES)('$name', ({ graph, shapes = SHAPES, want }) => {
    expect(peakBytes(graph, shapes)).toBe(want)
  })
})
