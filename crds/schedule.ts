// How the learning rate changes from round to round. The formulas are in federation/training/schedule.ts.
import { z } from 'zod'
import { goesWithItsType, needsItsMember } from './members.ts'
import { validations } from './rules.ts'

const minimumFactor = z
  .number()
  .min(0)
  .lt(1)
  .default(0)
  .describe('Factor that the round after the last would have; the first one after the warm-up has 1.')
const factor = z.number().gt(0).max(1)

export const Schedule = z
  .object({
    type: z
      .enum(['Constant', 'Step', 'Exponential', 'Cosine', 'Linear'])
      .default('Constant')
      .describe('Shape of the decline; Cosine is that of Loshchilov and Hutter 2017.'),
    warmupRounds: z
      .int()
      .min(0)
      .max(100000)
      .default(0)
      .describe('Rounds that come first, in which the learning rate rises in equal steps.'),
    step: z
      .object({
        everyRounds: z.int().min(1).max(100000).describe('Rounds between two declines.'),
        factor: factor.describe('What each decline multiplies the learning rate by.'),
      })
      .optional()
      .describe('Parameters of type Step.'),
    exponential: z
      .object({ factor: factor.describe('What each round multiplies the learning rate by.') })
      .optional()
      .describe('Parameters of type Exponential.'),
    cosine: z.object({ minimumFactor }).optional().describe('Parameters of type Cosine.'),
    linear: z.object({ minimumFactor }).optional().describe('Parameters of type Linear.'),
  })
  .meta(
    validations(
      ...goesWithItsType('Step', 'Exponential', 'Cosine', 'Linear'),
      ...needsItsMember('Step', 'Exponential'),
    ),
  )
  .prefault({})
  .describe(
    'Learning rate as a function of the round, times optimizer.learningRate. Cosine and Linear end with the last of spec.rounds; what a round began with, it keeps.',
  )
