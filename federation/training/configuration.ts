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

const epsilon = z.number().positive()
const weightDecay = z.number().min(0)

/** The update rules are those of torch.optim, with its defaults; Yogi is that of Zaheer et al. (2018). */
export const Optimizer = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('SGD'),
      momentum: factor.default(0),
      /** Looks one step of the momentum ahead. */
      nesterov: z.boolean().default(false),
      weightDecay: weightDecay.default(0),
    })
    .refine(({ momentum, nesterov }) => !nesterov || momentum > 0, {
      path: ['nesterov'],
      error: 'nesterov needs a momentum above 0',
    }),
  z.strictObject({
    type: z.literal('Adam'),
    beta1: factor.default(0.9),
    beta2: factor.default(0.999),
    epsilon: epsilon.default(1e-8),
    weightDecay: weightDecay.default(0),
  }),
  z.strictObject({
    type: z.literal('AdamW'),
    beta1: factor.default(0.9),
    beta2: factor.default(0.999),
    epsilon: epsilon.default(1e-8),
    /** Decoupled: each step multiplies a parameter by 1 - learningRate · weightDecay. */
    weightDecay: weightDecay.default(0.01),
  }),
  z.strictObject({
    type: z.literal('Adagrad'),
    epsilon: epsilon.default(1e-10),
    /** The sum of squares before the first step. */
    initialAccumulator: z.number().min(0).default(0),
    weightDecay: weightDecay.default(0),
  }),
  z.strictObject({
    type: z.literal('RMSProp'),
    alpha: factor.default(0.99),
    epsilon: epsilon.default(1e-8),
    momentum: factor.default(0),
    /** Divides by the standard deviation of the gradient, not by its root mean square. */
    centered: z.boolean().default(false),
    weightDecay: weightDecay.default(0),
  }),
  z.strictObject({
    type: z.literal('Yogi'),
    beta1: factor.default(0.9),
    beta2: factor.default(0.999),
    epsilon: epsilon.default(1e-3),
    /** The second moment before the first step. */
    initialAccumulator: z.number().min(0).default(1e-6),
    weightDecay: weightDecay.default(0),
  }),
])
export type Optimizer = z.infer<typeof Optimizer>

/** Of one training. */
export const Threads = z.int().min(1).max(64)

/**
 * Who takes the optimiser's step. Graph: the training graph, which gives new parameters. Host: whoever runs it, from the
 * gradients that it gives (host-step.ts); one pass over memory instead of many, for steps that are made one a call.
 */
export const Update = z.enum(['Graph', 'Host'])

/** What a client minimises: the loss alone, or the loss and a term that a federated strategy adds. */
export const Objective = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('Plain') }),
  /** FedProx, with the received global model as the reference; Ditto's personal model, with mu = lambda. */
  z.strictObject({ type: z.literal('Proximal'), mu: z.number().positive() }),
  z.strictObject({ type: z.literal('Scaffold') }),
  z.strictObject({ type: z.literal('FedDyn'), alpha: z.number().positive() }),
])
export type Objective = z.infer<typeof Objective>

const maximum = z.number().positive()

/** Norm: of all gradients together. Value: of each element. The gradient is that of the whole objective. */
export const GradientClipping = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('Norm'), maximum }),
  z.strictObject({ type: z.literal('Value'), maximum }),
])
export type GradientClipping = z.infer<typeof GradientClipping>

/**
 * DP-SGD (Abadi et al., 2016): the gradient of each example is scaled down to a norm of `clippingNorm` at most, and noise
 * of standard deviation noiseMultiplier · clippingNorm is added to every element of their sum. Keeping account of what many
 * steps cost together is up to the user.
 */
export const Privacy = z.strictObject({
  clippingNorm: z.number().positive(),
  noiseMultiplier: z.number().min(0),
})
export type Privacy = z.infer<typeof Privacy>

const batchSize = z.int().min(1).max(65_536)

const fields = z.strictObject({
  loss: Loss,
  optimizer: Optimizer,
  objective: Objective.default({ type: 'Plain' }),
  gradientClipping: GradientClipping.optional(),
  privacy: Privacy.optional(),
  batchSize,
  /** Rows of the evaluation graph's batch; the training batch size when absent. */
  evaluationBatchSize: batchSize.optional(),
  /** Steps of one run of the training graph, at most; chosen by what a step costs when absent. */
  stepsPerCall: z.int().min(1).max(1024).optional(),
  /** Chosen by what a step costs when absent. Host goes with one step a call. */
  update: Update.optional(),
  /** Processor threads that training computes with, at most; what they share out, the compiler decides. */
  threads: Threads.default(1),
  /**
   * Bytes that training may take beside the samples, the process and the runtime's code: the compiler chooses a plan
   * whose estimate stays below (memory-plan.ts), or refuses.
   */
  memoryLimitBytes: z.int().min(1).optional(),
  /** Initializers that keep their value: exact names, or patterns in which `*` stands for any characters. */
  frozen: z.array(z.string().min(1).max(256)).max(256).optional(),
})

export const TrainingConfiguration = fields
  .refine(({ objective, optimizer }) => objective.type !== 'Scaffold' || optimizer.type === 'SGD', {
    path: ['optimizer', 'type'],
    error: 'objective Scaffold needs optimizer SGD: its control variates are means of gradients',
  })
  .refine(({ update, stepsPerCall = 1 }) => update !== 'Host' || stepsPerCall === 1, {
    path: ['stepsPerCall'],
    error: 'update Host needs stepsPerCall 1: the host takes a step after each call',
  })
export type TrainingConfiguration = z.infer<typeof TrainingConfiguration>
/** What may be written: fields with a default may be left out. */
export type TrainingConfigurationInput = z.input<typeof TrainingConfiguration>

export function readConfiguration(value: unknown): TrainingConfiguration {
  const result = TrainingConfiguration.safeParse(value)
  if (result.success) return result.data
  throw new ModelError(`training configuration: ${z.prettifyError(result.error)}`)
}
