import { describe, expect, it } from 'vitest'
import { relativeDistance } from './distance.ts'

describe('the distance of two models', () => {
  it.each([
    ['none', [1, -4], [1, -4], 0],
    ['in proportion to the largest value, whatever its sign', [1, -4], [2, -4], 0.25],
    ['the largest of all', [8, 1, 1], [8, 1.5, 2], 0.125],
    ['of nothing', [], [], 0],
    ['of zeros', [0, 0], [0, 0], 0],
    ['beyond any bound where there was nothing', [0, 0], [0, 1], Infinity],
    ['not a number where a value is none', [1, 2], [Number.NaN, 2], Number.NaN],
  ])('is %s', (_, wanted, found, distance) => {
    expect(relativeDistance(Float32Array.from(wanted), Float32Array.from(found))).toBe(distance)
  })

  it('is that of models of one size only', () => {
    expect(() => relativeDistance(new Float32Array(2), new Float32Array(3))).toThrow(
      '3 parameters, expected 2',
    )
  })
})
