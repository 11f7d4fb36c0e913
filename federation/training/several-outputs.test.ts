/*
 * Nodes with several outputs: an operator may say that more than its first one can be used, and then learns the
 * gradient of each, undefined where nothing flows back.
 */
import { describe, expect, it } from 'vitest'

import { emitBackward } from './backward.ts'
import { GraphBuilder } from './builder.ts'
import type { Node } from './graph.ts'
import type { Backward } from './operators/operator.ts'

function node(op: string, inputs: string[], outputs: string[]): Node {
  return { op, name: op, inputs, outputs, attributes: {} }
}

/** w → Pair → (a, b, c), of which c is int64; Join uses some of them and makes y. */
function gradientsOf(used: string[], backward: Backward): Map<string, string> {
  const passing: Backward = (dy) => used.map((name) => () => `${dy} to ${name}`)
  const steps = [
    { node: node('Pair', ['w'], ['a', 'b', 'c']), backward },
    { node: node('Join', used, ['y']), backward: passing },
  ]
  const types = new Map([
    ...['a', 'b', 'y'].map((name) => [name, 'float32'] as const),
    ['c', 'int64'] as const,
  ])
  return emitBackward({ builder: new GraphBuilder([]), steps, types }, new Map([['y', 'dy']]), ['w'])
}

describe('the gradients of a node with several outputs', () => {
  const seen: (readonly (string | undefined)[])[] = []
  const recording: Backward = {
    ofOutputs: (dys) => {
      seen.push(dys)
      return [() => 'dw']
    },
  }

  it.each([
    { name: 'come from each output', used: ['a', 'b'], want: ['dy to a', 'dy to b', undefined] },
    { name: 'may come from a later output only', used: ['b'], want: [undefined, 'dy to b', undefined] },
    { name: 'do not come from integers', used: ['a', 'c'], want: ['dy to a', undefined, undefined] },
  ])('$name', ({ used, want }) => {
    expect([...gradientsOf(used, recording)]).toEqual([['w', 'dw']])
    expect(seen.at(-1)).toEqual(want)
  })

  it('are not asked for where nothing flows back', () => {
    const before = seen.length
    expect([...gradientsOf(['c'], recording)]).toEqual([])
    expect([...gradientsOf(['b'], () => [() => 'dw'])]).toEqual([])
    expect(seen.length).toBe(before)
  })
})
