import { describe, expect, it } from 'vitest'

import { inWords, type Plot, row } from '../rows.ts'
import { markdown } from './markdown.ts'
import { withMeasured } from './performance.ts'
import { bars, lines } from './svg.ts'

const fast = row({ name: 'a <fast> kernel', value: 6, goal: 3 })
const heavy = row({ name: 'memory', value: 1.5, goal: 1.02, direction: 'atMost', note: 'spools | more' })
const unknown = row({ name: 'upload', value: null, goal: 2, note: 'the peer does not start' })
const where = { machine: 'm', versions: { node: '24' }, command: 'make bench', date: '2026-01-02' }
const result = { rows: [fast, heavy, unknown], plots: [], versions: { peer: '1' } }
const plot: Plot = {
  title: 'accuracy',
  x: 'rounds',
  y: 'share',
  lines: [
    {
      name: 'ours',
      points: [
        [1, 0.5],
        [2, 0.9],
      ],
    },
  ],
}

describe('a row', () => {
  it.each([
    { given: fast, reached: true },
    { given: heavy, reached: false },
    { given: unknown, reached: false },
  ])('$given.name is judged by the direction of its goal', ({ given, reached }) => {
    expect(given.reached).toBe(reached)
  })

  it('in words has figure, goal and verdict', () => {
    expect(inWords(fast)).toBe('a <fast> kernel: 6× (goal ≥ 3×, reached)')
    expect(inWords(unknown)).toBe('upload: not measured (goal ≥ 2×, NOT REACHED); the peer does not start')
  })
})

describe('the collected figures', () => {
  it('keep what other benchmarks measured, and replace what was measured again', () => {
    const first = withMeasured(undefined, [{ name: 'one', result }], where)
    const second = withMeasured(first, [{ name: 'two', result: { ...result, rows: [fast] } }], where)
    const third = withMeasured(second, [{ name: 'one', result: { ...result, rows: [heavy] } }], where)
    expect(third.benchmarks.map(({ name, rows }) => [name, rows.map((one) => one.name)])).toEqual([
      ['one', ['memory']],
      ['two', ['a <fast> kernel']],
    ])
    expect(third.rows).toEqual([
      { name: 'memory', value: 1.5, goal: 1.02, reached: false },
      { name: 'a <fast> kernel', value: 6, goal: 3, reached: true },
    ])
    expect(third.versions).toEqual({ node: '24', peer: '1' })
  })

  it('become a page that shows what was not reached', () => {
    const page = markdown(withMeasured(undefined, [{ name: 'one', result }], where), { one: 'About one.' })
    expect(page).toContain('1 of 3 goals reached.')
    expect(page).toContain('| memory | 1.5× | ≤ 1.02× | **not reached**: spools \\| more |')
    expect(page).toContain('| upload | not measured | ≥ 2× | **not reached**: the peer does not start |')
    expect(page).toContain('About one.')
  })
})

describe('a plot', () => {
  it('escapes what it shows', () => {
    expect(bars('one', [fast])).toContain('a &lt;fast&gt; kernel')
  })

  it('draws a bar to the right of the goal for better, to the left for worse, none for nothing', () => {
    const starts = [fast, heavy, unknown].map((one) => /<rect x="([0-9.]+)"/.exec(bars('one', [one]))?.[1])
    const middle = /<line x1="([0-9.]+)"/.exec(bars('one', []))?.[1]
    expect(starts[0]).toBe(middle)
    expect(Number(starts[1])).toBeLessThan(Number(middle))
    expect(starts[2]).toBeUndefined()
  })

  it('puts later points to the right and larger ones higher', () => {
    const [, points = ''] = /points="([^"]+)"/.exec(lines(plot)) ?? []
    const [[x1, y1], [x2, y2]] = points.split(' ').map((pair) => pair.split(',').map(Number)) as [
      [number, number],
      [number, number],
    ]
    expect(x2).toBeGreaterThan(x1)
    expect(y2).toBeLessThan(y1)
  })
})
