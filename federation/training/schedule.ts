/*
 * Learning-rate schedules: the learning rate as a function of the round alone, so that whoever knows the
 * configuration can tell what any round trains with. Rounds count from 1. No round trains with 0: a decline to
 * nothing would end after the last round, as in torch.optim.lr_scheduler, and a decline by a factor ends at
 * LOWEST_LEARNING_RATE.
 */
import { z } from 'zod'

/** The least normal float32: graphs take the rate as float32, in which less would lose digits and end at 0. */
export const LOWEST_LEARNING_RATE = 2 ** -126

const factor = z.number().gt(0).max(1)
const minimumFactor = z.number().min(0).lt(1).default(0)
/** So many rounds come first, whose learning rate rises in equal steps to the full one in the round after. */
const warmupRounds = z.int().min(0).max(100_000).default(0)

export const LearningRateSchedule = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('Constant'), warmupRounds }),
  /** Times `factor` after every `everyRounds` rounds. */
  z.strictObject({
    type: z.literal('Step'),
    everyRounds: z.int().min(1).max(100_000),
    factor,
    warmupRounds,
  }),
  /** Times `factor` after every round. */
  z.strictObject({ type: z.literal('Exponential'), factor, warmupRounds }),
  /** Half a cosine (Loshchilov and Hutter, 2017), which would reach `minimumFactor` in the round after the last. */
  z.strictObject({ type: z.literal('Cosine'), minimumFactor, warmupRounds }),
  /** A straight line, which would reach `minimumFactor` in the round after the last. */
  z.strictObject({ type: z.literal('Linear'), minimumFactor, warmupRounds }),
])
export type LearningRateSchedule = z.infer<typeof LearningRateSchedule>

/**
 * Never below LOWEST_LEARNING_RATE, unless `base` is.
 * @param rounds how many the campaign has; later rounds, should there be any, train as the last one
 */
export function learningRateAt(
  schedule: LearningRateSchedule,
  base: number,
  round: number,
  rounds: number,
): number {
  const { warmupRounds } = schedule
  if (!Number.isInteger(round) || round < 1) throw new RangeError(`round is ${round}, expected 1 or more`)
  if (round <= warmupRounds) return (base * round) / (warmupRounds + 1)
  const passed = round - warmupRounds - 1
  const declining = Math.max(1, rounds - warmupRounds)
  const rate = base * decay(schedule, passed, Math.min(passed, declining - 1) / declining)
  return Math.max(rate, Math.min(base, LOWEST_LEARNING_RATE))
}

/** @param progress from 0 in the first round after the warm-up to 1 in the one after the last */
function decay(schedule: LearningRateSchedule, passed: number, progress: number): number {
  switch (schedule.type) {
    case 'Constant':
      return 1
    case 'Step':
      return schedule.factor ** Math.floor(passed / schedule.everyRounds)
    case 'Exponential':
      return schedule.factor ** passed
    case 'Cosine':
      return between(schedule.minimumFactor, (1 + Math.cos(Math.PI * progress)) / 2)
    case 'Linear':
      return between(schedule.minimumFactor, 1 - progress)
  }
}

function between(minimum: number, share: number): number {
  return minimum + (1 - minimum) * share
}
