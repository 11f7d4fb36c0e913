import { describe, expect, it } from 'vitest'

import { Arena } from './arena.ts'

const KIB = 2 ** 10
const MIB = 2 ** 20

describe('the arena', () => {
  it('touches what is in use, in units of 256 bytes', () => {
    const arena = new Arena()
    arena.allocate(1)
    arena.allocate(257)
    expect(arena.touched).toBe(256 + 512)
  })

  it('uses again what was given back, the smallest that is large enough', () => {
    const arena = new Arena()
    const [large, , small] = [400 * KIB, KIB, 100 * KIB, KIB].map((bytes) => arena.allocate(bytes))
    arena.free(large!)
    arena.free(small!)
    const before = arena.touched
    expect(arena.allocate(90 * KIB)).toBe(small)
    expect(arena.allocate(300 * KIB)).toBe(large)
    expect(arena.touched).toBe(before)
  })

  it('joins neighbours that were given back', () => {
    const arena = new Arena()
    const parts = [300 * KIB, 300 * KIB, 300 * KIB].map((bytes) => arena.allocate(bytes))
    for (const part of [parts[1]!, parts[0]!, parts[2]!]) arena.free(part)
    arena.allocate(900 * KIB)
    expect(arena.touched).toBe(900 * KIB)
  })

  it('takes a chunk whole unless it is twice as large', () => {
    const arena = new Arena()
    const chunk = arena.allocate(MIB)
    arena.free(chunk)
    arena.allocate(600 * KIB)
    // What is left of the region is not used: the next value is in a region of its own.
    arena.allocate(300 * KIB)
    expect(arena.touched).toBe(MIB + 300 * KIB)
  })

  it('grows by regions that double, and by one that is large enough', () => {
    const arena = new Arena()
    expect([MIB, 2 * MIB, 3 * MIB].map((bytes) => arena.allocate(bytes).size)).toEqual([
      MIB,
      2 * MIB,
      4 * MIB,
    ])
    expect(arena.allocate(20 * MIB).size).toBe(32 * MIB)
  })
})
