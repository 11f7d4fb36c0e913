// What a FederatedRound's status says. Bounded: a handful of rounds and nodes; the hub has the whole history.
import { z } from 'zod'
import { Conditions } from './kubernetes.ts'

const Metrics = z.record(z.string().max(63), z.number()).meta({ maxProperties: 16 })

const RoundSummary = z.object({
  round: z.int().min(1).describe('Number of the round, from 1.'),
  updates: z.int().min(0).describe('Updates that were merged.'),
  wanted: z.int().min(0).describe('Nodes that were asked; with FedBuff, the buffer size.'),
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
        wanted: z.int().min(0).describe('Nodes asked in the current round; with FedBuff, the buffer size.'),
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
