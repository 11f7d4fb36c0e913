import { describe, expect, it } from 'vitest'
import { Dice } from './dice.ts'
import { sumBehind, vectorOf } from './vectors.ts'

const shape = { participants: 50, length: 400 }
const submission = { seed: 's', round: 1, participant: 3, variant: 0 }

describe('the vector of a participant', () => {
  it('has a 1 at its own place and none at those of others', () => {
    const places = [...vectorOf(submission, shape).subarray(0, shape.participants)]
    expect(places).toEqual(places.map((_, place) => (place === submission.participant ? 1 : 0)))
  })

  it.each([{ seed: 't' }, { round: 2 }, { participant: 4 }, { variant: 1 }])(
    'has another payload with another %j, and the same with the same',
    (change) => {
      const payload = (one: typeof submission): number[] => [
        ...vectorOf(one, shape).subarray(shape.participants),
      ]
      expect(payload({ ...submission, ...change })).not.toEqual(payload(submission))
      expect(payload({ ...submission })).toEqual(payload(submission))
    },
  )

  it('is found again in the float32 mean of 50, also when parameters have wandered far', () => {
    const vectors = Array.from({ length: 50 }, (_, participant) =>
      vectorOf({ ...submission, participant }, shape),
    )
    const sum = Array.from({ length: shape.length }, (_, at) =>
      vectors.reduce((total, vector) => total + (vector[at] ?? 0), 0),
    )
    const before = Float32Array.from(sum, (_, at) => 2_000 * Math.sin(at))
    const after = before.map((value, at) => value + Math.fround((sum[at] ?? 0) / 50))
    const worst = sumBehind(before, after, 50).map((value, at) => Math.abs(value - (sum[at] ?? 0)))
    expect(Math.max(...worst)).toBeLessThan(0.05)
  })
})

describe('dice', () => {
  it('fall the same way for the same seed and another way for another name', () => {
    const throws = (dice: Dice): number[] => Array.from({ length: 20 }, () => dice.integer(1, 6))
    expect(throws(new Dice('s'))).toEqual(throws(new Dice('s')))
    expect(throws(new Dice('s').fork('x'))).not.toEqual(throws(new Dice('s').fork('y')))
  })

  it('show every side, none outside of the range, and choose by weight', () => {
    const dice = new Dice('sides')
    const thrown = Array.from({ length: 200 }, () => dice.integer(1, 6))
    expect(new Set(thrown)).toEqual(new Set([1, 2, 3, 4, 5, 6]))
    const picked = Array.from({ length: 200 }, () => dice.pick({ never: 0, often: 3, seldom: 1 }))
    expect(picked).not.toContain('never')
    expect(picked.filter((one) => one === 'often').length).toBeGreaterThan(100)
  })
})
