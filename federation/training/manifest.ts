/*
 * The manifest of a compiled model: everything a program needs to drive the two graphs without looking into
 * them, and everything that is needed to write trained parameters back into the user's model. Plain JSON.
 */
import { z } from 'zod'

import { Loss, Objective, Optimizer, Privacy, Threads, Update } from './configuration.ts'
import { ModelError } from './errors.ts'

const name = z.string().min(1).max(1024)
const dimension = z.int().min(0)
const shape = z.array(dimension).max(8)

/** A tensor of the flat parameter vector: elements [offset, offset + product of shape). */
export const Parameter = z.strictObject({
  /** Name in the manifest and of the graphs' input. */
  name,
  shape,
  /** First element in the flat vector. */
  offset: z.int().min(0),
  /** True: learns by gradient. False: running state, such as BatchNormalization's mean and variance. */
  trainable: z.boolean(),
  /** The training step's output that holds the new value; where the host updates and it learns, its gradient. */
  output: name,
  /** The initializer of the user's model that holds it. */
  initializer: name,
  /**
   * Present where the exporter merged equal initializers and the compiler separated them again: the uses
   * (node index, input index, in the user's graph) that get an initializer of their own on publication.
   */
  uses: z.array(z.strictObject({ node: z.int().min(0), input: z.int().min(0) })).optional(),
  /** Its values stay on the node that trained them (personalization.ts). */
  local: z.literal(true).optional(),
})
export type Parameter = z.infer<typeof Parameter>

/** State of the optimiser, in the shape of the parameter that it belongs to. */
export const StateTensor = z.strictObject({
  name,
  output: name,
  shape,
  /** Every element before the first step. */
  initial: z.number(),
})
export type StateTensor = z.infer<typeof StateTensor>

/**
 * What a constant of the local objective holds: the parameters that the round started from; SCAFFOLD's control
 * variates; FedDyn's gradient of the client.
 */
export const ConstantRole = z.enum(['reference', 'serverControl', 'clientControl', 'dynamicGradient'])
export type ConstantRole = z.infer<typeof ConstantRole>

/** A graph input that stays the same during a round: a parameter's part of the vector of this role. */
export const Constant = z.strictObject({ name, role: ConstantRole, parameter: name, shape })
export type Constant = z.infer<typeof Constant>

export const Label = z.strictObject({
  name,
  /** Batch first. */
  shape,
  type: z.enum(['float32', 'int32']),
  /** With SoftmaxCrossEntropy: labels are the integers 0 … classes - 1. */
  classes: z.int().min(1).optional(),
})
export type Label = z.infer<typeof Label>

/**
 * The graphs' input for samples; batch first, with the rows that the training graph takes. The evaluation graph's differs only
 * there; the training graph's has all samples instead, and so has its label. A model with several inputs gets them from one row of numbers, one after another.
 */
const Input = z.strictObject({
  name,
  shape,
  type: z.literal('float32'),
  /** Elements [first, first + count) of a sample are whole numbers from minimum to maximum, such as tokens. */
  integers: z
    .array(
      z.strictObject({
        first: z.int().min(0),
        count: z.int().min(1),
        minimum: z.int(),
        maximum: z.int(),
      }),
    )
    .optional(),
})

export const Metric = z.enum(['loss', 'accuracy', 'meanAbsoluteError', 'meanSquaredError'])
export type Metric = z.infer<typeof Metric>

export const TrainingManifest = z.strictObject({
  version: z.literal(1),
  loss: Loss,
  optimizer: Optimizer,
  update: Update.default('Graph'),
  objective: Objective,
  privacy: Privacy.optional(),
  metrics: z.array(Metric).min(1),
  batchSize: z.int().min(1),
  /** Processor threads to compute with. */
  threads: Threads.default(1),
  /**
   * Shards that the threads compute gradients of at the same time. Above 1 the training graph takes a shard's rows, which is
   * batchSize divided by it, rounded up, and the host updates.
   */
  shards: Threads.default(1),
  /** Steps that one run of the training graph takes at most; 1: exactly one, without a loop. */
  stepsPerCall: z.int().min(1),
  evaluationBatchSize: z.int().min(1),
  input: Input,
  label: Label,
  /** Training graph's input [stepsPerCall, batch], int32: the samples of each step's batch. */
  rows: name,
  /** Training graph's input [], int64: the number of steps to take. Absent where stepsPerCall is 1. */
  steps: name.optional(),
  /**
   * Graph input [batch], in training [stepsPerCall, batch]: a sample's weight in the loss; 0 marks padding, which
   * may repeat any sample.
   */
  sampleWeight: name,
  /** Graph input [stepsPerCall]. Absent where the host updates. */
  learningRate: name.optional(),
  /** Adam and AdamW: graph inputs [stepsPerCall], 1/(1 - beta1^t) and 1/(1 - beta2^t) for step t = 1, 2, … */
  corrections: z.strictObject({ first: name, second: name }).optional(),
  /**
   * Graph inputs [stepsPerCall, …shape], to fill step after step with numbers drawn uniformly from [0, 1): one for
   * each Dropout.
   */
  uniforms: z.array(z.strictObject({ name, shape })),
  /** With privacy: graph inputs [stepsPerCall, …shape] to fill with standard normal numbers, step after step. */
  normals: z.array(z.strictObject({ name, shape })),
  parameters: z.array(Parameter).min(1),
  /** Length of the flat parameter vector in elements. */
  parameterCount: z.int().min(1),
  /** Elements of it that learn by gradient; they come first. */
  trainableCount: z.int().min(1),
  /** Empty where the host updates. */
  state: z.array(StateTensor),
  /** What the local objective needs beside the parameters. */
  constants: z.array(Constant),
  /** The training graph's output [steps]: the mean loss of each step's batch. */
  training: z.strictObject({ loss: name }),
  /** Scalar outputs of the evaluation graph, all sums over the batch weighted by sample_weight. */
  evaluation: z.strictObject({
    loss: name,
    weight: name,
    correct: name.optional(),
    absoluteError: name.optional(),
    squaredError: name.optional(),
  }),
})
export type TrainingManifest = z.infer<typeof TrainingManifest>

/** Reads a manifest from parsed JSON, and checks that its offsets tile the parameter vector. */
export function readManifest(value: unknown): TrainingManifest {
  const result = TrainingManifest.safeParse(value)
  if (!result.success) throw new ModelError(`training manifest: ${z.prettifyError(result.error)}`)
  const manifest = result.data
  if (manifest.stepsPerCall > 1 !== (manifest.steps !== undefined)) {
    throw new ModelError(
      `training manifest: stepsPerCall is ${manifest.stepsPerCall} and steps ${manifest.steps ?? 'absent'}; ` +
        'steps names an input where stepsPerCall is above 1',
    )
  }
  if (manifest.shards > 1 && manifest.update !== 'Host') {
    throw new ModelError(
      `training manifest: shards is ${manifest.shards} and update ${manifest.update}; several shards go with update Host`,
    )
  }
  if ((manifest.update === 'Graph') !== (manifest.learningRate !== undefined)) {
    throw new ModelError(
      `training manifest: update is ${manifest.update} and learningRate ${manifest.learningRate ?? 'absent'}; ` +
        'learningRate names an input where the graph updates',
    )
  }
  let offset = 0
  for (const parameter of manifest.parameters) {
    if (parameter.offset !== offset) {
      throw new ModelError(
        `training manifest: parameter ${parameter.name} has offset ${parameter.offset}, expected ${offset}`,
      )
    }
    offset += elementCount(parameter.shape)
  }
  if (offset !== manifest.parameterCount) {
    throw new ModelError(
      `training manifest: parameterCount is ${manifest.parameterCount}, its parameters have ${offset} elements`,
    )
  }
  return manifest
}

/** Rows of a batch that the training graph takes: all, or those of a shard. */
export function rowsAShard({ batchSize, shards }: Pick<TrainingManifest, 'batchSize' | 'shards'>): number {
  return Math.ceil(batchSize / shards)
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
