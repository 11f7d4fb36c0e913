import { describe, expect, it } from 'vitest'
import type { z } from 'zod'

import { learningRateAt, LearningRateSchedule, LOWEST_LEARNING_RATE } from './schedule.ts'

interface Row {
  name: string
  schedule: z.input<typeof LearningRateSchedule>
  /** Of rounds 1, 2, … with a base of 1. */
  want: number[]
  /** As many as `want` has when absent. */
  rounds?: number
}

const table: Row[] = [
  { name: 'constant', schedule: { type: 'Constant' }, want: [1, 1, 1] },
  {
    name: 'constant after a warm-up in equal steps',
    schedule: { type: 'Constant', warmupRounds: 3 },
    want: [0.25, 0.5, 0.75, 1, 1],
  },
  {
    name: 'halved after every two rounds',
    schedule: { type: 'Step', everyRounds: 2, factor: 0.5 },
    want: [1, 1, 0.5, 0.5, 0.25],
  },
  {
    name: 'halved after every round, counting from the end of the warm-up',
    schedule: { type: 'Exponential', factor: 0.5, warmupRounds: 1 },
    want: [0.5, 1, 0.5, 0.25],
  },
  {
    name: 'half a cosine down to nothing after the last round',
    schedule: { type: 'Cosine' },
    want: [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2],
  },
  {
    name: 'half a cosine down to a minimum after the last round',
    schedule: { type: 'Cosine', minimumFactor: 0.2 },
    want: [1, 0.6],
  },
  {
    name: 'a line down to a minimum, after a warm-up',
    schedule: { type: 'Linear', minimumFactor: 0.5, warmupRounds: 1 },
    want: [0.5, 1, 0.75],
  },
  {
    name: 'that of the last round in rounds after it',
    schedule: { type: 'Linear' },
    rounds: 2,
    want: [1, 0.5, 0.5, 0.5],
  },
  { name: 'full in a campaign of one round', schedule: { type: 'Cosine' }, want: [1] },
  {
    name: 'still rising where the warm-up is longer than the campaign',
    schedule: { type: 'Linear', warmupRounds: 4 },
    want: [0.2, 0.4],
  },
]

describe('the learning rate', () => {
  it.each(table)('is $name', ({ schedule, want, rounds = want.length }) => {
    const parsed = LearningRateSchedule.parse(schedule)
    for (const [index, factor] of want.entries()) {
      expect(learningRateAt(parsed, 0.4, index + 1, rounds), `round ${index + 1}`).toBeCloseTo(
        0.4 * factor,
        12,
      )
    }
  })

  it.each(['Cosine', 'Linear'] as const)('is above 0 in every round of a %s schedule', (type) => {
    const schedule = LearningRateSchedule.parse({ type })
    const rates = Array.from({ length: 100 }, (_, index) => learningRateAt(schedule, 0.4, index + 1, 100))
    // A node refuses to train with 0, and strategies divide by the rate.
    expect(Math.min(...rates)).toBeGreaterThan(0)
  })

  it.each([
    { type: 'Exponential', factor: 0.5 },
    { type: 'Step', everyRounds: 1, factor: 1e-30 },
  ] as const)('of a long $type schedule ends at what float32 still holds', (value) => {
    const schedule = LearningRateSchedule.parse(value)
    const last = learningRateAt(schedule, 0.4, 5000, 5000)
    expect(last).toBe(LOWEST_LEARNING_RATE)
    expect(Math.fround(last)).toBe(last)
    expect(learningRateAt(schedule, 1e-40, 5000, 5000)).toBe(1e-40)
  })

  it('has no round 0', () => {
    const schedule = LearningRateSchedule.parse({ type: 'Constant' })
    expect(() => learningRateAt(schedule, 1, 0, 3)).toThrow('round is 0, expected 1 or more')
  })
})

describe('a schedule', () => {
  it.each([
    { name: 'with a factor above 1', value: { type: 'Exponential', factor: 1.5 } },
    { name: 'with a factor of 0', value: { type: 'Step', everyRounds: 2, factor: 0 } },
    { name: 'without its period', value: { type: 'Step', factor: 0.5 } },
    { name: 'with a minimum that is no lower', value: { type: 'Cosine', minimumFactor: 1 } },
    { name: "with another schedule's member", value: { type: 'Linear', factor: 0.5 } },
    { name: 'with a warm-up of half a round', value: { type: 'Constant', warmupRounds: 0.5 } },
  ])('is refused $name', ({ value }) => {
    expect(LearningRateSchedule.safeParse(value).success).toBe(false)
  })
})
