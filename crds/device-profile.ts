// DeviceProfile: a class of edge nodes, which nodes they are and where their training data lie.
import { z } from 'zod'
import { Conditions, LabelSelector, ObjectName, Quantity } from './kubernetes.ts'
import { matching, rule, validations } from './rules.ts'

const ColumnName = z.string().min(1).max(256)

const Dataset = z
  .object({
    name: ObjectName.describe('Name that FederatedRounds use.'),
    // Training pods mount the folder, which must not be the node's root.
    hostPath: matching(
      /^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}\.csv(\.gz)?$/,
      1024,
      'an absolute path of a folder and a file, such as /srv/x.csv, of letters, digits, -, _ and . without hidden or parent folders, ending in .csv or .csv.gz',
    ).describe(
      'Absolute path of one CSV file on every node of the profile, ending in .csv or .csv.gz. Its folder, which cannot be /, is mounted read-only into training pods. One header line; every column but the labels is a feature, in file order, and a row is one sample.',
    ),
    labelColumns: z
      .array(ColumnName)
      .min(1)
      .max(1024)
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe(
        'Columns that hold the label: one integer class from 0 for SoftmaxCrossEntropy, else numbers.',
      ),
  })
  .describe('A data set that lies on the nodes and never leaves them.')
export type Dataset = z.output<typeof Dataset>

const bandwidth = 'string(self.bandwidth)'

const Link = z
  .object({
    bandwidth: Quantity.describe(
      'Bytes a second that the link carries in each direction, such as 1250k for 10 Mbit/s.',
    ),
  })
  .meta(
    validations(
      rule(
        `!isQuantity(${bandwidth}) || quantity(${bandwidth}).compareTo(quantity('1Ki')) >= 0`,
        'must be at least 1Ki bytes a second',
        { fieldPath: '.bandwidth', value: bandwidth },
      ),
    ),
  )
  .describe("Each of these nodes' link to the hub.")

export const DeviceProfileSpec = z
  .object({
    nodeSelector: LabelSelector.describe(
      'Nodes that belong to the profile. An empty selector matches every node.',
    ),
    datasets: z
      .array(Dataset)
      .max(32)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('Data sets on these nodes, by name.'),
    link: Link.optional(),
  })
  .describe('What is wanted.')
export type DeviceProfileSpec = z.output<typeof DeviceProfileSpec>

export const DeviceProfileStatus = z
  .object({
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .describe('metadata.generation that this status was computed for.'),
    matchedNodes: z.int().min(0).optional().describe('Nodes that match the selector.'),
    readyNodes: z.int().min(0).optional().describe('Nodes that match and are Ready.'),
    conditions: Conditions.optional().describe('Conditions; docs/api.md lists the types and reasons.'),
  })
  .describe('What was seen.')
export type DeviceProfileStatus = z.output<typeof DeviceProfileStatus>
