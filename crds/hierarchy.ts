// Who takes the nodes' updates: the hub itself, or an edge controller in each zone that merges them and sends one
// intermediate update up. docs/api.md says where controllers run and what happens when one is lost.
import { z } from 'zod'
import { LabelKey, LabelSelector, ObjectName, ResourceRequirements } from './kubernetes.ts'
import { goesWithItsType } from './members.ts'
import { rule, seconds, validations, type Rule } from './rules.ts'

/** Strategies whose server only needs the mean weighted by samples: a tier may send the sum of its members in their place. */
export const TIERED_STRATEGIES = ['FedAvg', 'FedAvgM', 'FedAdagrad', 'FedAdam', 'FedYogi', 'FedProx'] as const

const DEFAULT_LABEL = 'topology.kubernetes.io/zone'
const PERCENTAGE = /^([1-9][0-9]?|100)%$/

const CountOrPercentage = z.union([z.int().min(1).max(10000), z.string().max(4).regex(PERCENTAGE)]).meta({
  'x-kubernetes-int-or-string': true,
  ...validations(
    rule(
      `type(self) == int ? int(self) >= 1 && int(self) <= 10000 : string(self).matches(r'${PERCENTAGE.source}')`,
      'must be a number from 1 to 10000, or a percentage from 1% to 100%',
      { value: 'string(self)' },
    ),
  ),
})

const Controller = z
  .object({
    nodeSelector: LabelSelector.optional().describe(
      'Nodes of a zone that may run its controller. Absent: any node of the zone, whether it trains or not.',
    ),
    port: z
      .int()
      .min(1024)
      .max(65535)
      .optional()
      .describe(
        "Port of the node on which the controller listens, in the node's network. Absent: a free one, which it announces; with a fixed one, a node can run one controller at a time.",
      ),
    resources: ResourceRequirements.prefault({
      requests: { cpu: '100m', memory: '192Mi' },
      limits: { memory: '512Mi' },
    }).describe('Resources of the controller.'),
    priorityClassName: ObjectName.optional().describe(
      "PriorityClass of the controllers, on which the updates of their zones depend. Absent: the cluster's default.",
    ),
    lostAfterSeconds: seconds(0, 604800)
      .default(60)
      .describe(
        'Seconds that the node may not be Ready, while the hub does not hear the controller either, before the controller counts as lost. Kubernetes itself takes about 50 s to notice that a node is unreachable. A deleted node is lost at once.',
      ),
    whenLost: z
      .enum(['Replace', 'UseHub'])
      .default('Replace')
      .describe(
        'Replace: another node of the zone takes over. UseHub: the nodes of the zone belong to the hub until the node is back.',
      ),
  })
  .prefault({})
  .describe('Where the edge controllers run. A change applies to controllers placed after it.')

const Zones = z.object({
  nodeLabel: LabelKey.default(DEFAULT_LABEL).describe(
    'Node label whose value is the zone. A node without it, or with an empty value, belongs to the hub. Cannot be changed.',
  ),
  minUpdates: CountOrPercentage.default(1).describe(
    "Quorum of a zone, as a number of updates or as a percentage of the zone's nodes that the round asked, rounded up. It is never more than were asked. A zone with fewer at its deadline sends nothing.",
  ),
  deadlineSeconds: seconds(1, 604799)
    .optional()
    .describe(
      'Seconds from the start of a round until a zone closes with the updates that are in; less than completion.deadlineSeconds, so that there is time to send them up. Absent: four fifths of completion.deadlineSeconds.',
    ),
  controller: Controller,
})

export const Hierarchy = z
  .object({
    type: z
      .enum(['Flat', 'Zones'])
      .default('Flat')
      .describe(
        'Flat: all nodes send their updates to the hub. Zones: the nodes of a zone send them to an edge controller in it, which merges them and sends one intermediate update up.',
      ),
    zones: Zones.optional().describe('Parameters of type Zones.'),
  })
  .meta(validations(...goesWithItsType('Zones')))
  .prefault({})
  .describe('The tree through which updates go up. type and zones.nodeLabel cannot be changed.')

type Hierarchy = z.output<typeof Hierarchy>
export type Zones = z.output<typeof Zones>

/** The zones of a tiered campaign, defaults filled in; undefined when it is flat. */
export function zonesOf({ type, zones }: Hierarchy): Zones | undefined {
  return type === 'Zones' ? (zones ?? Zones.parse({})) : undefined
}

const strategy = 'self.aggregation.strategy.type'
const deadline = 'self.hierarchy.zones.deadlineSeconds'
const label = (self: string): string =>
  `(has(${self}.hierarchy.zones) ? ${self}.hierarchy.zones.nodeLabel : '${DEFAULT_LABEL}')`

/** Rules on the whole spec. */
export const hierarchyRules: Rule[] = [
  rule(
    `self.hierarchy.type == oldSelf.hierarchy.type && ${label('self')} == ${label('oldSelf')}`,
    'hierarchy.type and hierarchy.zones.nodeLabel cannot be changed: create another FederatedRound',
    { fieldPath: '.hierarchy' },
  ),
  rule(
    `self.hierarchy.type != 'Zones' || ${strategy} in [${TIERED_STRATEGIES.map((type) => `'${type}'`).join(', ')}]`,
    `this strategy needs every single update: hierarchy.type Zones goes with ${TIERED_STRATEGIES.join(', ')}`,
    { fieldPath: '.hierarchy.type', value: strategy },
  ),
  rule(
    `!has(self.hierarchy.zones) || !has(${deadline}) || ${deadline} < self.completion.deadlineSeconds`,
    'hierarchy.zones.deadlineSeconds must be less than completion.deadlineSeconds: a zone sends its updates up inside the round',
    { fieldPath: '.hierarchy.zones.deadlineSeconds' },
  ),
]
