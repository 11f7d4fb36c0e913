// metav1.LabelSelector matching, pure.
import type { LabelSelector } from '#crds/kubernetes.ts'

type Labels = Readonly<Record<string, string>>

/** True when the labels meet every requirement. An empty or absent selector matches everything. */
export function matches(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!selector) return true
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
  return equal && (selector.matchExpressions ?? []).every((requirement) => meets(requirement, labels))
}

function meets(requirement: NonNullable<LabelSelector['matchExpressions']>[number], labels: Labels): boolean {
  const value = labels[requirement.key]
  switch (requirement.operator) {
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'In':
      return value !== undefined && (requirement.values ?? []).includes(value)
    case 'NotIn':
      return value === undefined || !(requirement.values ?? []).includes(value)
  }
}
