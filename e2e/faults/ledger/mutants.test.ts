import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'

import { type Mutant, MUTANTS } from './testing/mutants.ts'

const ROOT = new URL('../../..', import.meta.url)

describe('the mutants of a storm', () => {
  it.each<[string, Mutant]>(Object.entries(MUTANTS))(
    'find the line that %s changes, once',
    async (_, { file, right }) => {
      const source = await readFile(new URL(`.${file}`, ROOT), 'utf8')
      expect(source.split(right)).toHaveLength(2)
    },
  )
})
