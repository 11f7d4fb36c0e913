// How a FederatedRound's nodes train and how the merged model is evaluated on them.
import { z } from 'zod'
import { rule, seconds, validations } from './rules.ts'

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
  .meta(
    validations(
      rule("!has(self.huber) || self.type == 'Huber'", 'huber goes with type Huber only', {
        fieldPath: '.huber',
        value: 'self.type',
      }),
    ),
  )
  .describe('What training minimises, as the mean over the samples of a batch.')

const Optimizer = z
  .object({
    type: z
      .enum(['SGD', 'Adam'])
      .default('SGD')
      .describe('SGD (with momentum as PyTorch defines it) or Adam (Kingma and Ba 2015).'),
    learningRate: z.number().gt(0).max(1000).default(0.01).describe('Step size.'),
    sgd: z
      .object({
        momentum: z
          .number()
          .min(0)
          .lt(1)
          .default(0)
          .describe('Momentum; 0 is plain SGD. The state starts at zero in each round.'),
        weightDecay: z.number().min(0).max(1).default(0).describe('L2 penalty added to the gradient.'),
      })
      .optional()
      .describe('Parameters of type SGD.'),
    adam: z
      .object({
        beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the first moment.'),
        beta2: z.number().min(0).lt(1).default(0.999).describe('Decay of the second moment.'),
        epsilon: z.number().gt(0).max(1).default(1e-8).describe('Added to the denominator.'),
        weightDecay: z.number().min(0).max(1).default(0).describe('L2 penalty added to the gradient.'),
      })
      .optional()
      .describe('Parameters of type Adam.'),
  })
  .meta(
    validations(
      rule("!has(self.sgd) || self.type == 'SGD'", 'sgd goes with type SGD only', {
        fieldPath: '.sgd',
        value: 'self.type',
      }),
      rule("!has(self.adam) || self.type == 'Adam'", 'adam goes with type Adam only', {
        fieldPath: '.adam',
        value: 'self.type',
      }),
    ),
  )
  .prefault({})
  .describe(
    'How a node improves the parameters. Its state lives for one round on one node and never travels.',
  )

export const Training = z
  .object({
    loss: Loss,
    optimizer: Optimizer,
    epochs: z
      .int()
      .min(1)
      .max(1000)
      .default(1)
      .describe("Passes over a node's training samples in one round."),
    batchSize: z.int().min(1).max(65536).default(32).describe('Samples of one optimiser step.'),
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
