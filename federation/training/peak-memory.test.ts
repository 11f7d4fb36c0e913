import { describe, expect, it } from 'vitest'

import { type Graph, int, type Node, type ValueInfo } from './graph.ts'
import type { Inferred } from './infer.ts'
import { peakBytes } from './peak-memory.ts'
import { node } from './testdata/models.ts'

/** 64 elements: 256 bytes, the least that the arena gives. */
const float = (...shape: number[]): Inferred => ({ type: 'float32', shape })
const info = (name: string, ...shape: number[]): ValueInfo => ({ name, type: 'float32', shape })

function graphOf(nodes: Node[], outputs = ['y']): Graph {
  return {
    inputs: [info('x', 64)],
    outputs: outputs.map((name) => ({ name })),
    initializers: new Map(),
    nodes,
  }
}

const SHAPES = new Map(['x', 'a', 'b', 'c', 'v', 'i', 'o', 'y'].map((name) => [name, float(64)] as const))

const CASES: { name: string; graph: Graph; shapes?: [string, Inferred][]; want: number }[] = [
  { name: 'is nothing where all is given', graph: graphOf([node('Relu', ['x'], 'y')]), want: 0 },
  {
    name: 'is the operand and the result of a chain, which take turns',
    graph: graphOf([
      node('Erf', ['x'], 'a'),
      node('Erf', ['a'], 'b'),
      node('Erf', ['b'], 'c'),
      node('Erf', ['c'], 'y'),
    ]),
    want: 512,
  },
  {
    name: 'is one value where each is written over the one before',
    graph: graphOf([
      node('Exp', ['x'], 'a'),
      node('Exp', ['a'], 'b'),
      node('Exp', ['b'], 'c'),
      node('Exp', ['c'], 'y'),
    ]),
    want: 256,
  },
  {
    name: 'has what is read once more later',
    graph: graphOf([
      node('Erf', ['x'], 'a'),
      node('Erf', ['a'], 'b'),
      node('Erf', ['b'], 'c'),
      node('Mul', ['c', 'a'], 'y'),
    ]),
    want: 768,
  },
  {
    name: 'counts a view not at all, and what it shows for as long as the view is read',
    graph: graphOf([
      node('Erf', ['x'], 'a'),
      node('Reshape', ['a', 'shape'], 'v'),
      node('Erf', ['x'], 'b'),
      node('Mul', ['v', 'b'], 'y'),
    ]),
    want: 512,
  },
  {
    name: 'goes by the order in which nodes run, not by that in which they are listed',
    graph: graphOf(
      [node('Erf', ['x'], 'a'), node('Erf', ['x'], 'b'), node('Erf', ['b'], 'y'), node('Erf', ['a'], 'z')],
      ['y', 'z'],
    ),
    want: 256,
  },
  {
    name: 'knows the size of an element',
    graph: graphOf([node('Greater', ['x', 'zero'], 'a'), node('Cast', ['a'], 'y', { to: int(1) })]),
    shapes: [['a', { type: 'bool', shape: [1024] }]],
    want: 1024,
  },
  {
    name: 'does not put a value where one of another shape was',
    graph: graphOf([
      node('Erf', ['x'], 'a'),
      node('Erf', ['a'], 'b'),
      node('Erf', ['b'], 'c'),
      node('Erf', ['c'], 'y'),
    ]),
    shapes: [
      ['b', float(128)],
      ['c', float(192)],
    ],
    want: 256 + 512 + 768,
  },
  {
    name: 'has the columns of a convolution, or its images on blocks of channels',
    graph: graphOf([node('Conv', ['x', 'w'], 'y')]),
    shapes: [
      ['x', float(1, 1, 8, 8)],
      ['w', float(1, 1, 3, 3)],
      ['y', float(1, 1, 8, 8)],
    ],
    want: 4 * 9 * 64,
  },
  {
    name: 'has what two iterations of a loop give out, and what the second makes',
    graph: graphOf([
      node('Loop', ['count', '', 'x'], 'y', {
        body: {
          kind: 'graph',
          value: {
            inputs: [info('i', 64)],
            outputs: [info('o', 64)],
            initializers: new Map(),
            nodes: [node('Erf', ['i'], 'a'), node('Erf', ['a'], 'o')],
          },
        },
      }),
    ]),
    want: 768,
  },
]

describe('the peak of a graph’s values', () => {
  it.each(CASES)('$name', ({ graph, shapes = [], want }) => {
    expect(peakBytes(graph, new Map([...SHAPES, ...shapes]))).toBe(want)
  })
})
