import { describe, expect, it } from 'vitest'

import { roundSeed } from './seed.ts'

describe('roundSeed', () => {
  it('is the same on every machine and in every release', () => {
    expect(roundSeed(42, 1, 'edge-a')).toBe(roundSeed(42, 1, 'edge-a'))
    expect(roundSeed(42, 1, 'edge-a')).toBe(21554027365538)
  })

  it.each([
    { name: 'campaign', other: roundSeed(43, 1, 'edge-a') },
    { name: 'round', other: roundSeed(42, 2, 'edge-a') },
    { name: 'node', other: roundSeed(42, 1, 'edge-b') },
  ])('differs with the $name', ({ other }) => {
    expect(other).not.toBe(roundSeed(42, 1, 'edge-a'))
  })
})
