// The parts of Kubernetes' own API that our kinds embed, under Kubernetes' own names, bounded so that CEL rules stay cheap.
import { z } from 'zod'

/** A qualified label key: an optional DNS prefix and a name. */
const LabelKey = z
  .string()
  .max(317)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/)

const LabelValue = z
  .string()
  .max(63)
  .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/)

export const LabelSelectorRequirement = z
  .object({
    key: LabelKey.describe('Label key that the requirement applies to.'),
    operator: z
      .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
      .describe('How the key is compared with the values.'),
    values: z
      .array(LabelValue)
      .max(64)
      .optional()
      .describe('Values for In and NotIn; must be absent for Exists and DoesNotExist.'),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        message: 'operator In and NotIn need values, Exists and DoesNotExist must have none',
      },
    ],
  })

/** metav1.LabelSelector. */
export const LabelSelector = z.object({
  matchLabels: z
    .record(z.string().max(317), LabelValue)
    .meta({ maxProperties: 64 })
    .optional()
    .describe('Labels that a node must have, with these values.'),
  matchExpressions: z
    .array(LabelSelectorRequirement)
    .max(32)
    .optional()
    .describe('Requirements that a node must meet, all of them.'),
})
export type LabelSelector = z.infer<typeof LabelSelector>

/** metav1.Condition. */
export const Condition = z.object({
  type: z.string().max(316).describe('Type of the condition, in CamelCase.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Status of the condition.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('metadata.generation that the condition was computed for.'),
  lastTransitionTime: z.iso.datetime().describe('When the status last changed.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .describe('Reason of the last transition, in CamelCase; docs/api.md lists them.'),
  message: z.string().max(32768).describe('A sentence for people.'),
})
export type Condition = z.infer<typeof Condition>

/** metav1.Condition list, keyed by type. */
export const Conditions = z
  .array(Condition)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })

/** corev1.Toleration. */
export const Toleration = z.object({
  key: z
    .string()
    .max(317)
    .optional()
    .describe('Taint key that the toleration applies to; absent matches all keys.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe("Relation to the taint's value; default Equal."),
  value: z.string().max(63).optional().describe('Taint value for operator Equal.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Taint effect to match; absent matches all.'),
  tolerationSeconds: z
    .int()
    .optional()
    .describe('How long a NoExecute taint is tolerated, in seconds; absent: for ever.'),
})
export type Toleration = z.infer<typeof Toleration>

const Quantity = z
  .string()
  .max(32)
  .regex(/^([0-9]+|[0-9]+\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/)

const ResourceList = z.record(z.string().max(253), Quantity).meta({ maxProperties: 16 })

/** corev1.ResourceRequirements without claims. */
export const ResourceRequirements = z.object({
  requests: ResourceList.optional().describe(
    'What the pod is guaranteed, for example cpu: 500m, memory: 256Mi.',
  ),
  limits: ResourceList.optional().describe('What the pod may use at most.'),
})
export type ResourceRequirements = z.infer<typeof ResourceRequirements>

/** A DNS label such as the name of an object in the same namespace. */
export const ObjectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

/** One CEL rule as CRD metadata. */
export function rule(expression: string, message: string): { rule: string; message: string } {
  return { rule: expression, message }
}
