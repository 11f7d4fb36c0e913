import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { row } from '#bench/rows.ts'
import { reportFragment } from '../fragment.ts'
import { markdown } from './markdown.ts'
import { Fragment, Reliability, withShown } from './reliability.ts'

const where = { machine: 'm', versions: { node: '24' }, command: 'make faults', date: '2026-01-02' }
const reached = row({ name: 'plans that end well', value: 300, goal: 300, unit: 'plans' })
const missed = row({
  name: 'idle writes',
  value: 2,
  goal: 0,
  unit: 'writes',
  direction: 'atMost',
  note: 'why',
})

describe('the collected parts', () => {
  const first = withShown(
    undefined,
    [{ name: 'one', fragment: { about: 'About one.', rows: [reached] } }],
    where,
  )
  const second = withShown(
    first,
    [{ name: 'another', fragment: { about: 'About it.', rows: [missed] } }],
    where,
  )

  it('keep what other parts showed', () => {
    expect(second.parts.map(({ name }) => name)).toEqual(['another', 'one'])
    expect(second.rows).toEqual([
      { name: 'idle writes', value: 2, goal: 0, reached: false },
      { name: 'plans that end well', value: 300, goal: 300, reached: true },
    ])
  })

  it('are replaced by what the same part shows later', () => {
    const third = withShown(
      second,
      [{ name: 'another', fragment: { about: 'Anew.', rows: [reached] } }],
      where,
    )
    expect(third.parts.map(({ about, rows }) => [about, rows.map(({ name }) => name)])).toEqual([
      ['Anew.', ['plans that end well']],
      ['About one.', ['plans that end well']],
    ])
  })

  it('are read again as they were written', () => {
    expect(Reliability.parse(JSON.parse(JSON.stringify(second)))).toEqual(second)
  })

  it('become a page that says what was not reached', () => {
    const page = markdown(second)
    expect(page).toContain('1 of 2 goals reached.')
    expect(page).toContain('| idle writes | 2 writes | ≤ 0 writes | **not reached**: why |')
    expect(page).toContain('`make faults T=e2e/faults/one`, 2026-01-02')
  })
})

describe('a fragment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-fragment-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it('is written where the collector looks for it', () => {
    const out = join(folder, 'part.json')
    reportFragment({ about: 'About it.', rows: [missed] }, ['--out', out])
    expect(Fragment.parse(JSON.parse(readFileSync(out, 'utf8')))).toEqual({
      about: 'About it.',
      rows: [missed],
    })
  })

  it('without rows is refused', () => {
    expect(() => Fragment.parse({ about: 'x', rows: [] })).toThrow('rows')
  })
})
