/*
 * Gradients of nodes that nobody chose, family by family, against differences of the operators themselves. The same
 * families run in their ten thousands by `make fuzz`.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { OPERATORS } from './operators/index.ts'
import { logic } from './operators/logic.ts'
import { mismatches } from './testing/differences.ts'
import { FAMILIES } from './testing/families/index.ts'
import { describeMismatch } from './testing/node-case.ts'

const CASES = 60

describe.each(FAMILIES)('gradients of $name', ({ cases }) => {
  it('equal differences', async () => {
    const drawn = fc.sample(cases, { numRuns: CASES, seed: 20_260_823 })
    expect((await mismatches(drawn)).map(describeMismatch)).toEqual([])
  })
})

describe('the families', () => {
  /** Tested by their golden cases alone. */
  const ELSEWHERE = 'Dropout GlobalAveragePool GlobalMaxPool Identity'

  it('have cases of every other operator with a gradient', () => {
    const drawn = new Set(
      FAMILIES.flatMap(({ cases }) => fc.sample(cases, { numRuns: 2000, seed: 1 }).map(({ op }) => op)),
    )
    const missing = [...OPERATORS.keys()].filter(
      (op) => !drawn.has(op) && !(op in logic) && !ELSEWHERE.split(' ').includes(op),
    )
    expect(missing).toEqual([])
  })
})
