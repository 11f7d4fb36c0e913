import { stripTypeScriptTypes } from 'node:module'
import { describe, expect, it } from 'vitest'
import { SCENARIOS } from '../reconcilers/scenarios.ts'
import { mutated, sourceOf } from './mutate.ts'
import { MUTANTS } from './mutants.ts'

describe('the mutants', () => {
  it('are at least fifteen, each with a name of its own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
    expect(MUTANTS.length).toBeGreaterThanOrEqual(15)
  })

  it.each(MUTANTS)('$name: changes the source as it is now into what still loads', ({ edits, scenario }) => {
    for (const [file, own] of Object.entries(Object.groupBy(edits, (edit) => edit.file))) {
      const source = sourceOf(file)
      const changed = mutated(source, own ?? [])
      expect(changed).not.toBe(source)
      expect(() => stripTypeScriptTypes(changed)).not.toThrow()
    }
    expect(SCENARIOS.map(({ name }) => name)).toContain(scenario)
  })

  it('are refused when the words that they change are not there, or not once', () => {
    expect(() => mutated('a', [{ file: 'x.ts', from: 'b', to: 'c' }])).toThrow('"b" is there 0 times')
    expect(() => mutated('b b', [{ file: 'x.ts', from: 'b', to: 'c' }])).toThrow('"b" is there 2 times')
    expect(mutated('a b', [{ file: 'x.ts', from: 'b', to: '$&c' }])).toBe('a $&c')
  })
})
