// zod to CustomResourceDefinition. The API server accepts structural schemas only; definition.test.ts walks the
// result for everything that it would refuse, and the cluster test has the real server compile the CEL rules.
import { z } from 'zod'
import { GROUP, VERSION } from './names.ts'
import { DeviceProfileSpec, DeviceProfileStatus } from './device-profile.ts'
import { EdgeModelSpec, EdgeModelStatus } from './edge-model.ts'
import { FederatedRoundSpec, FederatedRoundStatus } from './federated-round.ts'
import { rule, validations, type Rule } from './rules.ts'

export interface PrinterColumn {
  name: string
  type: 'string' | 'integer' | 'date'
  jsonPath: string
  description: string
  priority?: number
}

export interface Kind {
  kind: string
  plural: string
  shortNames: string[]
  description: string
  spec: z.ZodType
  status: z.ZodType
  columns: PrinterColumn[]
  /** Rules on the whole object, its name included. */
  rules?: Rule[]
}

const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
}

function column(name: string, jsonPath: string, description: string, priority = 0): PrinterColumn {
  return { name, type: 'string', jsonPath, description, ...(priority > 0 ? { priority } : {}) }
}

export const KINDS: Kind[] = [
  {
    kind: 'FederatedRound',
    plural: 'federatedrounds',
    shortNames: ['fr'],
    description:
      'One federated campaign: nodes train an EdgeModel on their own data, round by round, and the hub merges what they learned.',
    rules: [
      rule(
        'size(self.metadata.name) <= 63',
        'metadata.name must have at most 63 characters: training pods are named after it',
        {
          value: 'self.metadata.name',
        },
      ),
    ],
    spec: FederatedRoundSpec,
    status: FederatedRoundStatus,
    columns: [
      column('Phase', '.status.phase', 'What the campaign is doing.'),
      column('Round', '.status.roundProgress', 'Round of rounds.'),
      column('Updates', '.status.updatesProgress', 'Updates received of nodes asked in this round.'),
      column('Metric', '.status.metric', 'Metric of the last finished round.'),
      column('Model', '.status.modelVersion', 'Version published last.'),
      age,
      column('Zones', '.status.zonesProgress', 'Zones whose edge controller is connected, of all zones.', 1),
      column(
        'Reason',
        '.status.conditions[?(@.type=="Progressing")].reason',
        'Why it is going on or not.',
        1,
      ),
    ],
  },
  {
    kind: 'EdgeModel',
    plural: 'edgemodels',
    shortNames: ['em'],
    description:
      'A named model with a history of immutable, signed versions, and the nodes that serve the latest.',
    spec: EdgeModelSpec,
    status: EdgeModelStatus,
    columns: [
      column('Version', '.status.latestVersion', 'Latest version.'),
      column('Phase', '.status.phase', 'What is happening to it.'),
      column(
        'Updated',
        '.status.updated',
        'Agents that have loaded the latest version, of the serving nodes.',
      ),
      column('Metric', '.status.metric', 'Metric of the latest version.'),
      age,
      column('Reason', '.status.conditions[?(@.type=="Ready")].reason', 'Why it is ready or not.', 1),
    ],
  },
  {
    kind: 'DeviceProfile',
    plural: 'deviceprofiles',
    shortNames: ['devprof'],
    description: 'A class of edge nodes: which nodes they are and where their training data lie.',
    spec: DeviceProfileSpec,
    status: DeviceProfileStatus,
    columns: [
      { name: 'Nodes', type: 'integer', jsonPath: '.status.matchedNodes', description: 'Nodes that match.' },
      {
        name: 'Ready',
        type: 'integer',
        jsonPath: '.status.readyNodes',
        description: 'Nodes that match and are Ready.',
      },
      age,
    ],
  },
]

/** JSON schema of a zod shape as the API server wants it: structural, every default and description in place. */
export function openApiSchema(shape: z.ZodType): Record<string, unknown> {
  const schema = z.toJSONSchema(shape, { target: 'openapi-3.0', io: 'input', reused: 'inline' })
  const { $schema: _dialect, ...rest } = schema as Record<string, unknown>
  return structural(rest) as Record<string, unknown>
}

type SchemaNode = Record<string, unknown>

function structural(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(structural)
  if (typeof node !== 'object' || node === null) return node
  const kept = Object.entries(withDefault(node as SchemaNode)).filter((entry) =>
    isWanted(node as SchemaNode, entry),
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, structural(value)]))
}

/** False for what zod adds and the API server refuses or does not need. */
function isWanted(node: SchemaNode, [key, value]: [string, unknown]): boolean {
  switch (key) {
    case 'propertyNames': // key schemas of maps
      return typeof value !== 'object'
    case 'pattern': // beside format, and where a rule says the same in words
      return typeof value !== 'string' || (node['format'] !== 'date-time' && !hasRuleOf(node, value))
    case 'anyOf':
      return node['x-kubernetes-int-or-string'] !== true
    case 'minimum':
    case 'maximum':
      return Math.abs(Number(value)) !== Number.MAX_SAFE_INTEGER
    default:
      return true
  }
}

const hasRuleOf = (node: SchemaNode, pattern: string): boolean =>
  JSON.stringify(node['x-kubernetes-validations'] ?? '').includes(JSON.stringify(pattern).slice(1, -1))

/** `kubectl explain` shows no defaults, so the description says them. */
function withDefault(node: SchemaNode): SchemaNode {
  const { description, default: value } = node
  if (typeof description !== 'string' || !['string', 'number', 'boolean'].includes(typeof value)) return node
  return { ...node, description: `${description} Default: ${String(value)}.` }
}

/** The CustomResourceDefinition of one kind. */
export function customResourceDefinition(kind: Kind): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames: kind.shortNames,
        categories: ['tributary'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: kind.description,
              required: ['spec'],
              ...(kind.rules ? validations(...kind.rules) : {}),
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: openApiSchema(kind.spec),
                status: openApiSchema(kind.status),
              },
            },
          },
        },
      ],
    },
  }
}
