// The parts of Kubernetes' own API that our kinds embed, under Kubernetes' own names, bounded so that CEL rules stay cheap.
import { z } from 'zod'
import { matching, rule, validations } from './rules.ts'

/** A qualified label key: an optional DNS prefix and a name. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/

export const LabelKey = matching(LABEL_KEY, 317, 'a label key such as site or example.com/site')

const LabelValue = matching(
  /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/,
  63,
  'a label value: letters, digits, -, _ and ., or empty',
)

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
  .meta(
    validations(
      rule(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        'operator In and NotIn need values, Exists and DoesNotExist must have none',
      ),
    ),
  )

/** metav1.LabelSelector. */
export const LabelSelector = z.object({
  matchLabels: z
    .record(z.string().max(317), LabelValue)
    .meta({
      maxProperties: 64,
      ...validations(
        rule(
          `self.all(key, size(key) <= 317 && key.matches(r'${LABEL_KEY.source}'))`,
          'every key must be a label key such as site or example.com/site',
        ),
      ),
    })
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
export const Toleration = z
  .object({
    key: z
      .string()
      .max(317)
      .optional()
      .describe('Taint key that the toleration applies to; absent matches all keys.'),
    operator: z
      .enum(['Exists', 'Equal'])
      .optional()
      .describe("Relation to the taint's value; default Equal."),
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
  .meta(
    validations(
      rule(
        "!has(self.value) || self.value == '' || !has(self.operator) || self.operator == 'Equal'",
        'operator Exists takes no value',
        { fieldPath: '.value' },
      ),
      rule(
        "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
        'without a key, operator must be Exists: it then tolerates every taint',
        { fieldPath: '.operator' },
      ),
      rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        'tolerationSeconds goes with effect NoExecute only',
        { fieldPath: '.tolerationSeconds' },
      ),
    ),
  )
export type Toleration = z.infer<typeof Toleration>

const QUANTITY = /^([0-9]+|[0-9]+\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/

/** resource.Quantity: people write `cpu: 2` as well as `cpu: 500m`. */
export const Quantity = z
  .union([z.int().min(0), z.string().max(32).regex(QUANTITY)])
  .meta({ 'x-kubernetes-int-or-string': true, pattern: QUANTITY.source })
  .transform(String)

const ResourceList = z.record(z.string().max(253), Quantity).meta({
  maxProperties: 16,
  ...validations(
    rule(
      "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || name.contains('/'))",
      'a resource is cpu, memory, ephemeral-storage or a name with a domain such as nvidia.com/gpu',
    ),
  ),
})

/** A pod that asks for more than its limit would be refused later, when nobody looks. */
const withinLimit = (name: string) => {
  const text = (list: string) => `string(self.${list}['${name}'])`
  const quantity = (list: string) => `quantity(${text(list)})`
  const given = ['requests', 'limits']
    .map((list) => `has(self.${list}) && '${name}' in self.${list} && isQuantity(${text(list)})`)
    .join(' && ')
  return rule(
    `!(${given}) || ${quantity('requests')}.compareTo(${quantity('limits')}) <= 0`,
    `requests.${name} must not be above limits.${name}`,
    { fieldPath: '.requests' },
  )
}

/** corev1.ResourceRequirements without claims. */
export const ResourceRequirements = z
  .object({
    requests: ResourceList.optional().describe(
      'What the pod is guaranteed, for example cpu: 500m, memory: 256Mi.',
    ),
    limits: ResourceList.optional().describe('What the pod may use at most.'),
  })
  .meta(validations(withinLimit('cpu'), withinLimit('memory')))
export type ResourceRequirements = z.infer<typeof ResourceRequirements>

/** Name of an object, as Kubernetes takes it. */
export const ObjectName = matching(
  /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
  253,
  'a name: lower-case letters, digits, - and .',
)
