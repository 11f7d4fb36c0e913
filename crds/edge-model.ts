// EdgeModel: a named model with a history of immutable, signed versions, and where it is served.
import { z } from 'zod'
import { Conditions, LabelSelector } from './kubernetes.ts'
import { matching, rule, validations } from './rules.ts'

const Source = z
  .object({
    storageUri: matching(
      /^(configmap:\/\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[-._a-zA-Z0-9]+|https:\/\/[^\s/?#@]+\/[^\s]*)$/,
      2048,
      'configmap://NAME/KEY or https://HOST/PATH',
    ).describe(
      'Where the first version comes from: configmap://NAME/KEY, a ConfigMap in the same namespace (files below 1 MiB), or https://HOST/PATH.',
    ),
    digest: matching(/^sha256:[0-9a-f]{64}$/, 71, 'sha256: and 64 lower-case hexadecimal digits')
      .optional()
      .describe('Expected digest of the file, sha256:HEX. Required for https.'),
  })
  .meta(
    validations(
      rule(
        "has(self.digest) || !self.storageUri.startsWith('https://')",
        'a storageUri with https needs a digest, sha256:HEX of the file',
        { fieldPath: '.digest', value: 'self.storageUri' },
      ),
    ),
  )
  .describe(
    'One plain ONNX file: float32 parameters inside it, standard operators only. Cannot be changed: create another EdgeModel.',
  )

const Serving = z
  .object({
    nodeSelector: LabelSelector.describe('Nodes whose agent serves the latest version.'),
  })
  .describe('Where the model is served. Absent: nowhere.')

export const EdgeModelSpec = z
  .object({ source: Source, serving: Serving.optional() })
  .meta(
    validations(
      rule('self.source == oldSelf.source', 'source cannot be changed: create another EdgeModel', {
        fieldPath: '.source',
      }),
    ),
  )
  .describe('What is wanted.')
export type EdgeModelSpec = z.output<typeof EdgeModelSpec>

const Version = z.object({
  version: z.int().min(1).describe('Number of the version, from 1.'),
  digest: z.string().max(71).describe('sha256 of the .onnx file.'),
  parentDigest: z.string().max(71).optional().describe('Digest of the version that training started from.'),
  createdAt: z.iso.datetime().describe('When it was published.'),
  federatedRound: z.string().max(64).optional().describe('UID of the FederatedRound that made it.'),
  round: z.int().min(1).optional().describe('Round of that campaign.'),
  participants: z
    .int()
    .min(0)
    .optional()
    .describe('How many nodes contributed to the last round; who is not recorded.'),
  samples: z.int().min(0).optional().describe('Training samples of the last round.'),
  metrics: z
    .record(z.string().max(63), z.number())
    .meta({ maxProperties: 16 })
    .optional()
    .describe('Federated evaluation of this version.'),
})

const AgentAttention = z.object({
  node: z.string().max(253).describe('Name of the node.'),
  version: z.int().min(0).describe('Version that the agent has loaded; 0 for none.'),
  reason: z
    .string()
    .max(64)
    .describe('Why it has not loaded the latest version; docs/api.md lists the reasons.'),
  message: z.string().max(512).describe('A sentence for people.'),
})

export const EdgeModelStatus = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .describe('metadata.generation that this status was computed for.'),
    phase: z.string().max(32).optional().describe('One word for people, derived from the conditions.'),
    latestVersion: z.string().max(16).optional().describe('Column VERSION, for example v4.'),
    updated: z
      .string()
      .max(32)
      .optional()
      .describe('Column UPDATED: agents that have loaded the latest version, of the serving nodes.'),
    metric: z.string().max(32).optional().describe('Column METRIC: metric of the latest version.'),
    parameterCount: z.int().min(0).optional().describe('Parameters that train.'),
    versions: z
      .array(Version)
      .max(10)
      .optional()
      .describe('The latest versions, newest first; older ones are in the hub.'),
    agents: z
      .array(AgentAttention)
      .max(50)
      .optional()
      .describe('Serving nodes whose agent has not loaded the latest version.'),
    conditions: Conditions.optional().describe('Conditions; docs/api.md lists the types and reasons.'),
  })
  .describe('What was seen.')
export type EdgeModelStatus = z.output<typeof EdgeModelStatus>
