/*
 * What a person says about how a model is trained. Everything here is compiled into the training-step graph;
 * what may change from round to round (learning rate, epochs, seed) is given to the trainer instead.
 */
import { z } from 'zod'

import { ModelError } from './errors.ts'

const factor = z.number().min(0).lt(1)

export const Loss = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('SoftmaxCrossEntropy') }),
  z.strictObject({ type: z.literal('BinaryCrossEntropy') }),
  z.strictObject({ type: z.literal('MeanSquaredError') }),
  z.strictObject({ type: z.literal('Huber'), delta: z.number().positive().default(1) }),
])
export type Loss = z.infer<typeof Loss>

/** The update rules are those of torch.optim.SGD (no dampening, no Nesterov) and torch.optim.Adam. */
export const Optimizer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('SGD'),
    momentum: factor.default(0),
    weightDecay: z.number().min(0).default(0),
  }),
  z.strictObject({
    type: z.literal('Adam'),
    beta1: factor.default(0.9),
    beta2: factor.default(0.999),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: z.number().min(0).default(0),
  }),
])
export type Optimizer = z.infer<typeof Optimizer>

const batchSize = z.int().min(1).max(65_536)

export const TrainingConfiguration = z.strictObject({
  loss: Loss,
  optimizer: Optimizer,
  batchSize,
  /** Rows of the evaluation graph's batch; the training batch size when absent. */
  evaluationBatchSize: batchSize.optional(),
  /** Initializers that keep their value: exact names, or patterns in which `*` stands for any characters. */
  frozen: z.array(z.string().min(1).max(256)).max(256).optional(),
})
export type TrainingConfiguration = z.infer<typeof TrainingConfiguration>
/** What may be written: fields with a default may be left out. */
export type TrainingConfigurationInput = z.input<typeof TrainingConfiguration>

export function readConfiguration(value: unknown): TrainingConfiguration {
  const result = TrainingConfiguration.safeParse(value)
  if (result.success) return result.data
  throw new ModelError(`training configuration: ${z.prettifyError(result.error)}`)
}
