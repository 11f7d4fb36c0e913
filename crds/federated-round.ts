// FederatedRound: one federated campaign over one EdgeModel. This file is the only source of its type, schema,
// defaults, descriptions and CEL rules; docs/api.md says how the parts work together.
import { z } from 'zod'
import { Conditions, LabelSelector, ObjectName, ResourceRequirements, Toleration } from './kubernetes.ts'
import { rule, validations } from './rules.ts'

const seconds = (minimum: number, maximum: number) => z.int().min(minimum).max(maximum)

const ModelRef = z
  .object({ name: ObjectName.describe('Name of the EdgeModel.') })
  .describe('The EdgeModel that the campaign improves, in the same namespace. Cannot be changed.')

const Participants = z
  .object({
    profiles: z
      .array(ObjectName)
      .min(1)
      .max(32)
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe(
        'DeviceProfiles in the same namespace whose nodes may take part. They say where the data set lies.',
      ),
    nodeSelector: LabelSelector.optional().describe('Narrows the nodes of the profiles further.'),
    perRound: z
      .int()
      .min(1)
      .max(10000)
      .optional()
      .describe(
        'Nodes that train in one round at most, drawn anew each round. Default: every Ready node that matches.',
      ),
  })
  .describe('Who takes part.')

const Completion = z
  .object({
    minUpdates: z
      .int()
      .min(1)
      .max(10000)
      .default(1)
      .describe(
        'Quorum: a round with fewer accepted updates at its deadline does not count. It also needs so many Ready nodes to start.',
      ),
    deadlineSeconds: seconds(1, 604800)
      .default(600)
      .describe(
        'Seconds from the start of a round (or of a further attempt) until it closes with the updates that are in.',
      ),
    maxAttempts: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe(
        'Attempts at one round, the first included, before the campaign fails with QuorumNotReached. Accepted updates carry over from attempt to attempt.',
      ),
  })
  .prefault({})
  .describe('When a round is complete.')

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

const Training = z
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

const Evaluation = z
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

const Aggregation = z
  .object({
    strategy: z
      .object({
        type: z
          .enum(['FedAvg'])
          .default('FedAvg')
          .describe('FedAvg: mean of the updates weighted by training samples (McMahan et al. 2017).'),
      })
      .prefault({})
      .describe('Aggregation strategy.'),
  })
  .prefault({})
  .describe('How updates are merged. Cannot be changed.')

const Until = z
  .object({
    metric: z
      .enum(['loss', 'accuracy', 'meanAbsoluteError', 'meanSquaredError'])
      .describe(
        'Metric of the federated evaluation, weighted by held-out samples. accuracy goes with the cross-entropy losses, the errors with MeanSquaredError and Huber.',
      ),
    atLeast: z.number().optional().describe('Stop after the first round whose metric is this or more.'),
    atMost: z.number().optional().describe('Stop after the first round whose metric is this or less.'),
  })
  .meta(
    validations(
      rule('has(self.atLeast) != has(self.atMost)', 'until needs exactly one of atLeast and atMost'),
    ),
  )
  .describe('Stop before all rounds are done when the metric is good enough.')

const PodTemplate = z
  .object({
    resources: ResourceRequirements.prefault({
      requests: { cpu: '250m', memory: '256Mi' },
      limits: { memory: '1Gi' },
    }).describe('Resources of the training container.'),
    tolerations: z
      .array(Toleration)
      .max(32)
      .default([{ key: 'node-role.kubernetes.io/edge', operator: 'Exists' }])
      .describe(
        'Tolerations of the training pods, beside those for unreachable and not-ready nodes that the operator adds.',
      ),
    imagePullSecrets: z
      .array(z.object({ name: ObjectName.describe('Name of the Secret.') }))
      .max(16)
      .optional()
      .describe("Secrets in the FederatedRound's namespace to pull the image with."),
  })
  .prefault({})
  .describe('The training pods. A change applies to pods created after it.')

export const FederatedRoundSpec = z
  .object({
    modelRef: ModelRef,
    dataset: ObjectName.describe('Name of the data set in the DeviceProfiles. Cannot be changed.'),
    rounds: z
      .int()
      .min(1)
      .max(100000)
      .describe('Rounds of the campaign. May be raised or lowered while it runs.'),
    suspend: z
      .boolean()
      .default(false)
      .describe(
        'True: no further round is started and the training pods go away after the running round; what was accepted is kept.',
      ),
    participants: Participants,
    completion: Completion,
    startDeadlineSeconds: seconds(1, 2592000)
      .default(3600)
      .describe(
        'Seconds that a round may wait for enough Ready nodes before the campaign fails with StartDeadlineExceeded.',
      ),
    activeDeadlineSeconds: seconds(1, 31536000)
      .optional()
      .describe(
        'Seconds from creation after which the campaign fails with DeadlineExceeded. Absent: no limit.',
      ),
    training: Training,
    evaluation: Evaluation,
    aggregation: Aggregation,
    until: Until.optional(),
    publish: z
      .enum(['OnCompletion', 'EveryRound', 'Never'])
      .default('OnCompletion')
      .describe('When the merged model becomes a new version of the EdgeModel.'),
    template: PodTemplate,
  })
  .meta(
    validations(
      rule('self.modelRef == oldSelf.modelRef', 'modelRef cannot be changed: create another FederatedRound', {
        fieldPath: '.modelRef',
      }),
      rule('self.dataset == oldSelf.dataset', 'dataset cannot be changed: create another FederatedRound', {
        fieldPath: '.dataset',
      }),
      rule('self.training == oldSelf.training', 'training cannot be changed: create another FederatedRound', {
        fieldPath: '.training',
      }),
      rule(
        'self.evaluation == oldSelf.evaluation',
        'evaluation cannot be changed: create another FederatedRound',
        { fieldPath: '.evaluation' },
      ),
      rule(
        'self.aggregation == oldSelf.aggregation',
        'aggregation cannot be changed: create another FederatedRound',
        { fieldPath: '.aggregation' },
      ),
      rule(
        '!has(self.participants.perRound) || self.participants.perRound >= self.completion.minUpdates',
        'participants.perRound must be at least completion.minUpdates, or no round can reach its quorum',
        { fieldPath: '.participants.perRound' },
      ),
      rule(
        "!has(self.until) || self.until.metric == 'loss' || (self.until.metric == 'accuracy') == (self.training.loss.type in ['SoftmaxCrossEntropy', 'BinaryCrossEntropy'])",
        'until.metric does not fit training.loss.type: accuracy goes with SoftmaxCrossEntropy and BinaryCrossEntropy, meanAbsoluteError and meanSquaredError with MeanSquaredError and Huber',
        { fieldPath: '.until.metric', value: 'self.until.metric' },
      ),
    ),
  )
  .describe('What is wanted.')
export type FederatedRoundSpec = z.output<typeof FederatedRoundSpec>

const Metrics = z.record(z.string().max(63), z.number()).meta({ maxProperties: 16 })

const RoundSummary = z.object({
  round: z.int().min(1).describe('Number of the round, from 1.'),
  updates: z.int().min(0).describe('Updates that were merged.'),
  wanted: z.int().min(0).describe('Nodes that were asked.'),
  samples: z.int().min(0).describe('Training samples behind the merged model.'),
  evaluations: z.int().min(0).describe('Nodes whose evaluation is in the metrics.'),
  metrics: Metrics.describe('Metrics of the merged model, weighted by held-out samples.'),
  completedAt: z.iso.datetime().describe('When the round was done.'),
})

const AttentionNeeded = z.object({
  node: z.string().max(253).describe('Name of the node.'),
  reason: z.string().max(64).describe('Why it needs attention, in CamelCase; docs/api.md lists the reasons.'),
  message: z.string().max(512).describe('A sentence for people.'),
})

export const FederatedRoundStatus = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .describe('metadata.generation that this status was computed for.'),
    phase: z.string().max(32).optional().describe('One word for people, derived from the conditions.'),
    round: z.int().min(0).optional().describe('The round that runs or ran last; 0 before the first.'),
    rounds: z.int().min(0).optional().describe('spec.rounds, for the ROUND column.'),
    roundProgress: z.string().max(32).optional().describe('Column ROUND: done or running of wanted.'),
    updates: z
      .object({
        received: z.int().min(0).describe('Updates accepted in the current round.'),
        wanted: z.int().min(0).describe('Nodes asked in the current round.'),
      })
      .optional()
      .describe('Updates of the current round.'),
    updatesProgress: z.string().max(32).optional().describe('Column UPDATES: received of wanted.'),
    attempt: z.int().min(0).optional().describe('Attempt at the current round, from 1.'),
    waitingSince: z.iso
      .datetime()
      .optional()
      .describe('Since when the campaign waits for its model or for nodes; absent while it does not.'),
    roundDeadline: z.iso.datetime().optional().describe('When the current round closes at the latest.'),
    metric: z.string().max(32).optional().describe('Column METRIC: the metric of the last finished round.'),
    metricName: z.string().max(63).optional().describe('Which metric the METRIC column shows.'),
    modelVersion: z
      .string()
      .max(16)
      .optional()
      .describe('Column MODEL: version published last by this campaign.'),
    baseVersion: z
      .int()
      .min(0)
      .optional()
      .describe('Version of the EdgeModel that the campaign started from.'),
    history: z
      .array(RoundSummary)
      .max(10)
      .optional()
      .describe('The last finished rounds, newest first; older ones are in the hub.'),
    participants: z
      .array(AttentionNeeded)
      .max(50)
      .optional()
      .describe('Nodes of the current round that need attention, with the reason.'),
    conditions: Conditions.optional().describe('Conditions; docs/api.md lists the types and reasons.'),
  })
  .describe('What was seen.')
export type FederatedRoundStatus = z.output<typeof FederatedRoundStatus>
