// metav1.Condition arithmetic, pure. A condition's lastTransitionTime moves only when its status does, so that
// recomputing a status from the same observation gives the same bytes and nothing is written.
import type { Condition } from '#crds/kubernetes.ts'

export interface ConditionFacts {
  type: string
  status: Condition['status']
  reason: string
  message: string
}

/** The conditions of one pass: every owned condition is stated anew, transition times come from `previous`. */
export function conditionsOf(
  facts: ConditionFacts[],
  previous: Condition[] | undefined,
  at: { now: number; generation: number },
): Condition[] {
  return facts.map((fact) => {
    const before = previous?.find((condition) => condition.type === fact.type)
    const lastTransitionTime = before?.status === fact.status ? before.lastTransitionTime : timestamp(at.now)
    return {
      ...fact,
      message: truncate(fact.message, 1024),
      observedGeneration: at.generation,
      lastTransitionTime,
    }
  })
}

/** True when the list says that `type` holds. */
export function isTrue(conditions: Condition[] | undefined, type: string): boolean {
  return conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
export function timestamp(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

export function truncate(text: string, maximum: number): string {
  return text.length <= maximum ? text : `${text.slice(0, maximum - 1)}…`
}
