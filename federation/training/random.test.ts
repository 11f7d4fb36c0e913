import { describe, expect, it } from 'vitest'

import { Random } from './random.ts'
import { ascending } from './samples.ts'

function first(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uint32())
}

describe('random numbers', () => {
  it('depend on every bit of the seed, and on the stream', () => {
    const seeds = [new Random(1), new Random(2), new Random(1 + 2 ** 40), new Random(1, 1)]
    const starts = seeds.map((random) => first(random, 4).join())
    expect(new Set(starts).size).toBe(4)
    expect(first(new Random(1), 4).join()).toBe(starts[0])
  })

  it('are uniform below a bound', () => {
    const random = new Random(42)
    const counts = new Uint32Array(7)
    for (let i = 0; i < 70_000; i++) {
      const value = random.below(7)
      counts[value] = (counts[value] ?? 0) + 1
    }
    // Five standard deviations of a binomial with p = 1/7.
    for (const count of counts)
      expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt(70_000 * (1 / 7) * (6 / 7)))
  })

  it('are uniform below a bound that 2^32 is no multiple of', () => {
    const random = new Random(43)
    const quarter = 2 ** 30
    const values = Array.from({ length: 3000 }, () => random.below(3 * quarter))
    // A remainder would give half of them below a quarter, not a third.
    expect(values.filter((value) => value < quarter).length / 3000).toBeCloseTo(1 / 3, 1)
  })

  it('fill with floats from 0 to below 1', () => {
    const values = new Float32Array(10_000)
    new Random(3).fillUniform(values)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...values)).toBeLessThan(1)
    expect(values.reduce((sum, value) => sum + value, 0) / values.length).toBeCloseTo(0.5, 1)
  })

  it('shuffle without losing anything', () => {
    const order = ascending(100)
    new Random(9).shuffle(order)
    expect([...order]).not.toEqual([...ascending(100)])
    expect([...order].sort((a, b) => a - b)).toEqual([...ascending(100)])
  })

  it.each([-1, 0.5, 2 ** 53, NaN])('refuse the seed %d', (seed) => {
    expect(() => new Random(seed)).toThrow(/seed is .*, expected an integer from 0/)
  })
})
