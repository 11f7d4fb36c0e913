// The optimisers of local training and their parameters. The defaults are those of federation/training, which says more
// about each; operator/federated-round/plan.test.ts holds the two together.
import { z } from 'zod'
import { goesWithItsType } from './members.ts'
import { rule, validations } from './rules.ts'

const decay = (value: number) => z.number().min(0).lt(1).default(value)
const beta1 = decay(0.9).describe('Decay of the first moment.')
const beta2 = decay(0.999).describe('Decay of the second moment.')
const epsilon = (value: number) =>
  z.number().gt(0).max(1).default(value).describe('Added to the denominator.')
const weightDecay = z.number().min(0).max(1).default(0).describe('L2 penalty added to the gradient.')
const initialAccumulator = (value: number, what: string) =>
  z.number().min(0).max(1e6).default(value).describe(what)

const sgd = z
  .object({
    momentum: decay(0).describe('Momentum; 0 is plain SGD.'),
    nesterov: z.boolean().default(false).describe('Looks one step of the momentum ahead.'),
    weightDecay,
  })
  .meta(
    validations(
      rule('!self.nesterov || self.momentum > 0.0', 'nesterov needs a momentum above 0', {
        fieldPath: '.nesterov',
      }),
    ),
  )

const adamW = z.object({
  beta1,
  beta2,
  epsilon: epsilon(1e-8),
  weightDecay: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('Decoupled: each step multiplies a parameter by 1 - learningRate * weightDecay.'),
})

const rmsProp = z.object({
  alpha: decay(0.99).describe('Decay of the mean of squares.'),
  epsilon: epsilon(1e-8),
  momentum: decay(0).describe('Momentum.'),
  centered: z
    .boolean()
    .default(false)
    .describe('Divides by the standard deviation of the gradient, not by its root mean square.'),
  weightDecay,
})

export const Optimizer = z
  .object({
    type: z
      .enum(['SGD', 'Adam', 'AdamW', 'Adagrad', 'RMSProp', 'Yogi'])
      .default('SGD')
      .describe(
        'As torch.optim defines SGD, Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), Adagrad (Duchi et al. 2011) and RMSProp; Yogi: Zaheer et al. 2018.',
      ),
    learningRate: z.number().gt(0).max(1000).default(0.01).describe('Step size.'),
    sgd: sgd.optional().describe('Parameters of type SGD.'),
    adam: z
      .object({ beta1, beta2, epsilon: epsilon(1e-8), weightDecay })
      .optional()
      .describe('Parameters of type Adam.'),
    adamW: adamW.optional().describe('Parameters of type AdamW.'),
    adagrad: z
      .object({
        epsilon: epsilon(1e-10),
        initialAccumulator: initialAccumulator(0, 'The sum of squares before the first step.'),
        weightDecay,
      })
      .optional()
      .describe('Parameters of type Adagrad.'),
    rmsProp: rmsProp.optional().describe('Parameters of type RMSProp.'),
    yogi: z
      .object({
        beta1,
        beta2,
        epsilon: epsilon(1e-3),
        initialAccumulator: initialAccumulator(1e-6, 'The second moment before the first step.'),
        weightDecay,
      })
      .optional()
      .describe('Parameters of type Yogi.'),
  })
  .meta(validations(...goesWithItsType('SGD', 'Adam', 'AdamW', 'Adagrad', 'RMSProp', 'Yogi')))
  .prefault({})
  .describe(
    'How a node improves the parameters. Its state lives for one round on one node and never travels.',
  )
