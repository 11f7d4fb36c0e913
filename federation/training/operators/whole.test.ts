import { describe, expect, it } from 'vitest'

import { GraphBuilder } from '../builder.ts'
import type { Node } from '../graph.ts'

import { sumOfGradients } from './whole.ts'

/** The node that makes the sum of gradients of a value [6, 2], each padded so, or, where undefined, a whole by itself. */
function sumOf(...pads: (readonly number[] | undefined)[]): Node | undefined {
  const builder = new GraphBuilder([])
  const gradients = pads.map((given, index) => {
    const value = builder.input(`g${index}`, [])
    return given ? builder.add('Pad', [value, builder.int64(given)]) : value
  })
  return builder.producer(sumOfGradients(builder, gradients, [6, 2]))
}

/** Rows `from` to `to` among 6. */
const rows = (from: number, to: number): number[] => [from, 0, 6 - to, 0]

describe('gradients of the parts of a value', () => {
  it('are put together in the order of the parts where they are the whole', () => {
    const whole = sumOf(rows(0, 1), rows(4, 6), rows(1, 4))
    expect(whole).toMatchObject({ op: 'Concat', inputs: ['g0', 'g2', 'g1'] })
    expect(whole?.attributes).toEqual({ axis: { kind: 'int', value: 0 } })
  })

  const added: { name: string; pads: (readonly number[] | undefined)[] }[] = [
    { name: 'overlap', pads: [rows(0, 4), rows(3, 6)] },
    { name: 'leave something out between them', pads: [rows(0, 2), rows(3, 6)] },
    { name: 'leave the end out', pads: [rows(0, 2), rows(2, 5)] },
    { name: 'leave the start out', pads: [rows(1, 2), rows(2, 6)] },
    { name: 'are parts along different axes', pads: [rows(0, 3), [0, 1, 0, 0]] },
    { name: 'are parts along two axes', pads: [[0, 0, 3, 1], rows(3, 6)] },
    { name: 'are taken twice', pads: [rows(0, 3), rows(0, 3), rows(3, 6)] },
    { name: 'come with one of the whole', pads: [rows(0, 3), rows(3, 6), undefined] },
    { name: 'are cut off by the padding', pads: [rows(0, 3), [3, 0, 0, -1]] },
  ]
  it.each(added)('are added up where they $name', ({ pads }) => {
    expect(sumOf(...pads)?.op).toBe('Sum')
  })
})
