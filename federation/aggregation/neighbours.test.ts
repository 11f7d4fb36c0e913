import { describe, expect, it } from 'vitest'
import { nearestGroups, squaredDistances } from './neighbours.ts'

/** Inner products of points on a line. */
const gramOf = (points: readonly number[]): Float64Array =>
  Float64Array.from(points.flatMap((a) => points.map((b) => a * b)))

describe('squared distances', () => {
  it('follow from inner products', () => {
    expect([...squaredDistances(gramOf([0, 1, 3]), 3)]).toEqual([0, 1, 9, 1, 0, 4, 9, 4, 0])
  })

  it('are never below 0, however the inner products were rounded', () => {
    expect([...squaredDistances(Float64Array.of(1, 1.1, 1.1, 1), 2)]).toEqual([0, 0, 0, 0])
  })
})

describe('the group of an update', () => {
  const groups = (points: readonly number[], count: number): number[][] =>
    nearestGroups(squaredDistances(gramOf(points), points.length), points.length, count).map((one) => [
      ...one,
    ])

  it.each([
    { name: 'is itself alone', points: [0, 1, 3], count: 0, want: [[0], [1], [2]] },
    {
      name: 'has the nearest',
      points: [0, 1, 3],
      count: 1,
      want: [
        [0, 1],
        [0, 1],
        [1, 2],
      ],
    },
    {
      name: 'has the earlier of two that are as far',
      points: [2, 0, 4],
      count: 1,
      want: [
        [0, 1],
        [0, 1],
        [0, 2],
      ],
    },
    {
      name: 'has everybody',
      points: [0, 1, 3],
      count: 2,
      want: [
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2],
      ],
    },
    {
      name: 'has itself when others are equal to it',
      points: [5, 5, 5, 0],
      count: 1,
      want: [
        [0, 1],
        [0, 1],
        [0, 2],
        [0, 3],
      ],
    },
  ])('$name', ({ points, count, want }) => {
    expect(groups(points, count)).toEqual(want)
  })
})
