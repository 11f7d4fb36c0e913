// What a FederatedRound's status says. Bounded: a handful of rounds and nodes; the hub has the whole history.
import { z } from 'zod'
import { Conditions } from './kubernetes.ts'

const Metrics = z.record(z.string().max(63), z.number()).meta({ maxProperties: 16 })

const Late = z
  .object({
    counted: z
      .int()
      .min(0)
      .describe('Updates of the round that were trained from the parameters of an earlier one.'),
    dropped: z
      .int()
      .min(0)
      .describe(
        'Nodes that came with an update to the round, or were still training for it, when it could not count any more.',
      ),
  })
  .optional()
  .describe('Late updates; absent when there are none.')

const RoundSummary = z.object({
  round: z.int().min(1).describe('Number of the round, from 1.'),
  updates: z.int().min(0).describe('Updates that were merged.'),
  wanted: z.int().min(0).describe('Nodes that were asked; with FedBuff, the buffer size.'),
  samples: z.int().min(0).describe('Training samples behind the merged model.'),
  evaluations: z.int().min(0).describe('Nodes whose evaluation is in the metrics.'),
  metrics: Metrics.describe('Metrics of the merged model, weighted by held-out samples.'),
  late: Late,
  completedAt: z.iso.datetime().describe('When the round was done.'),
})

const AttentionNeeded = z.object({
  node: z.string().max(253).describe('Name of the node.'),
  reason: z.string().max(64).describe('Why it needs attention, in CamelCase; docs/api.md lists the reasons.'),
  message: z.string().max(512).describe('A sentence for people.'),
})

const RefusedUpdate = z.object({
  round: z.int().min(1).describe('Round of the update.'),
  node: z.string().max(253).describe('Name of the node.'),
  acceptedDigest: z.string().max(80).describe('SHA-256 of the bytes that count.'),
  refusedDigest: z.string().max(80).describe('SHA-256 of the bytes that were refused.'),
})

/** Edge controllers of a campaign; nodes of further zones belong to the hub. */
export const MOST_TIERS = 100

const Tier = z.object({
  zone: z.string().max(63).describe('The zone: value of the node label.'),
  state: z
    .string()
    .max(64)
    .describe(
      'What its edge controller is doing, or what is wrong with it, in CamelCase; docs/api.md lists them.',
    ),
  node: z.string().max(253).describe('Node that the controller runs on; empty when there is none.'),
  pod: z.string().max(253).describe("The controller's pod; empty when there is none."),
  podUid: z
    .string()
    .max(64)
    .optional()
    .describe('UID of the pod, once it was seen, until the campaign has ended.'),
  epoch: z
    .int()
    .min(0)
    .describe(
      'How often the zone was given a controller. A controller of an earlier epoch is not heard any more.',
    ),
  placedAt: z.iso.datetime().optional().describe('When the controller of this epoch was placed.'),
  received: z.int().min(0).describe('Updates that the controller has accepted in the current round.'),
  wanted: z.int().min(0).describe('Nodes of the zone that were asked in the current round.'),
  message: z.string().max(512).optional().describe('A sentence for people, when something is wrong.'),
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
        wanted: z.int().min(0).describe('Nodes asked in the current round; with FedBuff, the buffer size.'),
        late: Late,
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
    zonesProgress: z
      .string()
      .max(32)
      .optional()
      .describe('Column ZONES: zones whose edge controller is connected, of all zones.'),
    tiers: z
      .array(Tier)
      .max(MOST_TIERS)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['zone'] })
      .optional()
      .describe('Zones and their edge controllers; absent when spec.hierarchy is Flat.'),
    refusedUpdates: z
      .array(RefusedUpdate)
      .max(10)
      .optional()
      .describe(
        'Nodes that sent other bytes after their update to a round was accepted, newest first: each once a round.',
      ),
    conditions: Conditions.optional().describe('Conditions; docs/api.md lists the types and reasons.'),
  })
  .describe('What was seen.')
export type FederatedRoundStatus = z.output<typeof FederatedRoundStatus>
