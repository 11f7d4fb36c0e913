// docs/edge.md promises a complete list of reasons; it is the same as the code's.
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { REFUSAL_REASONS } from './agent/refusals.ts'
import { FAILURE_REASONS } from './train/failures.ts'

const page = readFileSync(new URL('../docs/edge.md', import.meta.url), 'utf8')

describe('docs/edge.md', () => {
  it.each([
    { part: 'The data set', reasons: FAILURE_REASONS },
    { part: 'The models', reasons: REFUSAL_REASONS },
  ])('lists every reason of "$part" with its meaning, and no other', ({ part, reasons }) => {
    const section = page.split(/^## /m).find((text) => text.startsWith(part)) ?? ''
    const rows = [...section.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].map(([, reason, meaning]) => [
      reason,
      meaning,
    ])
    expect(rows).toEqual(Object.entries(reasons))
  })
})
