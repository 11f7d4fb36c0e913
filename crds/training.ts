// How a FederatedRound's nodes train and how the merged model is evaluated on them.
import { z } from 'zod'
import { Quantity } from './kubernetes.ts'
import { goesWithItsType } from './members.ts'
import { Optimizer } from './optimizer.ts'
import { Schedule } from './schedule.ts'
import { seconds, validations } from './rules.ts'

const Loss = z
  .object({
    type: z
      .enum(['SoftmaxCrossEntropy', 'BinaryCrossEntropy', 'MeanSquaredError', 'Huber'])
      .describe(
        'SoftmaxCrossEntropy: one integer class a sample, the model gives logits or a Softmax of them. BinaryCrossEntropy: labels 0 or 1, the model gives logits or a Sigmoid of them. MeanSquaredError and Huber: float labels of the shape of the output.',
      ),
    huber: z
      .object({
        delta: z.number().gt(0).max(1e6).default(1).describe('Residual above which the loss is linear.'),
      })
      .optional()
      .describe('Parameters of type Huber.'),
  })
  .meta(validations(...goesWithItsType('Huber')))
  .describe('What training minimises, as the mean over the samples of a batch.')

const GradientClipping = z
  .object({
    type: z
      .enum(['Norm', 'Value'])
      .describe('Norm: scales the gradient of all parameters together. Value: cuts each element.'),
    maximum: z.number().gt(0).max(1e9).describe('Largest norm, or largest absolute value of an element.'),
  })
  .describe('Keeps the gradient of a step in bounds.')

export const Training = z
  .object({
    loss: Loss,
    optimizer: Optimizer,
    schedule: Schedule,
    epochs: z
      .int()
      .min(1)
      .max(1000)
      .default(1)
      .describe("Passes over a node's training samples in one round."),
    gradientClipping: GradientClipping.optional(),
    frozenParameters: z
      .array(z.string().min(1).max(256))
      .min(1)
      .max(256)
      .meta({ 'x-kubernetes-list-type': 'set' })
      .optional()
      .describe(
        'Parameters of the model that keep their value: names of initializers, or patterns in which * stands for any characters.',
      ),
    memoryLimit: Quantity.optional().describe(
      'Memory that training may take beside the samples and the process itself, for example 64Mi. The compiler chooses a plan that stays below: one step a call, activations computed again, the batch in parts. A model that no plan brings below is refused.',
    ),
    batchSize: z.int().min(1).max(65536).default(32).describe('Samples of one optimiser step.'),
    threads: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe(
        'Processor threads that a training pod computes with; template.resources should ask for as many CPUs. Where a step is long enough, each thread computes the gradients of a part of the batch; with BatchNormalization that learns, or gradientClipping, the threads share out the single operators instead, which saves less. The same number gives the same bits.',
      ),
    seed: z
      .int()
      .min(0)
      .max(2147483647)
      .default(0)
      .describe(
        'Seed of everything drawn in the campaign: participants, shuffles, dropout, the Random split.',
      ),
  })
  .describe('How nodes train. Cannot be changed.')

export const Evaluation = z
  .object({
    holdoutFraction: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.2)
      .describe(
        "Fraction of a node's samples that it never trains on; the merged model is evaluated on them after each round.",
      ),
    split: z
      .enum(['Tail', 'Random'])
      .default('Tail')
      .describe(
        'Tail: the last rows of the file are held out, right for time series. Random: rows drawn with the seed.',
      ),
    deadlineSeconds: seconds(1, 86400)
      .default(120)
      .describe('Seconds that a round waits for evaluations after merging; metrics are of those that came.'),
  })
  .prefault({})
  .describe(
    'Federated evaluation: each node measures the merged model on samples that stay there. Cannot be changed.',
  )
