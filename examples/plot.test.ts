import { describe, expect, it } from 'vitest'

import { plot, table } from './plot.ts'

const SERIES = [
  { name: 'federated', values: [0.5, 0.75, 1] },
  { name: 'edge-1 alone', values: [0.5, 0.6] },
]

describe('table', () => {
  it('has a line for each round and leaves out what is not known yet', () => {
    expect(table(SERIES).split('\n')).toEqual([
      'round  federated  edge-1 alone',
      '    1     50.0 %        50.0 %',
      '    2     75.0 %        60.0 %',
      '    3    100.0 %              ',
    ])
  })
})

describe('plot', () => {
  it('puts the lowest figure at the bottom, the highest at the top, and the first series in front', () => {
    expect(plot(SERIES, { height: 3, width: 5 }).split('\n')).toEqual([
      '100.0 % ┤    ●',
      '        ┤  ●',
      ' 50.0 % ┤● ○',
      '        └───── rounds',
      '● federated   ○ edge-1 alone',
    ])
  })

  it('shows a single round, equal figures and figures that are missing', () => {
    expect(plot([{ name: 'loss', values: [0.5] }], { height: 2, width: 3 })).toContain('50.0 % ┤●')
    expect(plot([{ name: 'loss', values: [NaN, 0.5] }], { height: 2, width: 3 })).toContain('50.0 % ┤  ●')
    expect(plot([{ name: 'loss', values: [] }])).toBe('(nothing to plot yet)')
  })
})
