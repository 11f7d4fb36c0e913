// FederatedRound: one federated campaign over one EdgeModel. This file is the only source of its type, schema,
// defaults, descriptions and CEL rules; docs/api.md says how the parts work together.
import { z } from 'zod'
import { Aggregation, aggregationRules } from './aggregation.ts'
import { Hierarchy, hierarchyRules } from './hierarchy.ts'
import { LateUpdates, lateUpdatesRules } from './late-updates.ts'
import { LabelSelector, ObjectName, ResourceRequirements, Toleration } from './kubernetes.ts'
import { Personalization } from './personalization.ts'
import { rule, seconds, validations } from './rules.ts'
import { Evaluation, Training } from './training.ts'
import { Transfer } from './transfer.ts'

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
        'Nodes that train in one round at most, drawn anew each round; with FedBuff, at one time. Default: every Ready node that matches.',
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
    priorityClassName: ObjectName.optional().describe(
      "PriorityClass of the training pods, which says what goes when a node has not enough for all. Absent: the cluster's default.",
    ),
  })
  .prefault({})
  .describe('The training pods. A change applies to pods created after it.')

/** What a training pod takes before it trains: Node.js, ONNX Runtime, the parameters as they came. */
const PROCESS_MEMORY = '192Mi'
const trainingLimit = 'string(self.training.memoryLimit)'
const podLimit = "string(self.template.resources.limits['memory'])"
const limitsGiven =
  "has(self.training.memoryLimit) && has(self.template.resources.limits) && 'memory' in self.template.resources.limits && " +
  `isQuantity(${trainingLimit}) && isQuantity(${podLimit})`

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
    maxOfflineSeconds: seconds(60, 2592000)
      .default(86400)
      .describe(
        'Seconds that a node may be unreachable before its training pod is given up. Until then the pod is not evicted, and its token stays good. A change applies to pods created after it.',
      ),
    training: Training,
    evaluation: Evaluation,
    aggregation: Aggregation,
    transfer: Transfer,
    hierarchy: Hierarchy,
    lateUpdates: LateUpdates,
    personalization: Personalization.optional(),
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
      rule('self.transfer == oldSelf.transfer', 'transfer cannot be changed: create another FederatedRound', {
        fieldPath: '.transfer',
      }),
      rule(
        'has(self.personalization) == has(oldSelf.personalization) && (!has(self.personalization) || self.personalization == oldSelf.personalization)',
        'personalization cannot be changed: create another FederatedRound',
        { fieldPath: '.personalization' },
      ),
      rule(
        '!has(self.participants.perRound) || self.participants.perRound >= self.completion.minUpdates',
        'participants.perRound must be at least completion.minUpdates, or no round can reach its quorum',
        { fieldPath: '.participants.perRound' },
      ),
      rule(
        `!(${limitsGiven}) || quantity(${podLimit}).compareTo(quantity(${trainingLimit}).add(quantity('${PROCESS_MEMORY}'))) >= 0`,
        `template.resources.limits.memory must be at least training.memoryLimit and ${PROCESS_MEMORY} for the process; the samples come on top`,
        { fieldPath: '.template.resources.limits' },
      ),
      ...aggregationRules,
      ...hierarchyRules,
      ...lateUpdatesRules,
      rule(
        "!has(self.until) || self.until.metric == 'loss' || (self.until.metric == 'accuracy') == (self.training.loss.type in ['SoftmaxCrossEntropy', 'BinaryCrossEntropy'])",
        'until.metric does not fit training.loss.type: accuracy goes with SoftmaxCrossEntropy and BinaryCrossEntropy, meanAbsoluteError and meanSquaredError with MeanSquaredError and Huber',
        { fieldPath: '.until.metric', value: 'self.until.metric' },
      ),
    ),
  )
  .describe('What is wanted.')
export type FederatedRoundSpec = z.output<typeof FederatedRoundSpec>

export { FederatedRoundStatus } from './federated-round-status.ts'
