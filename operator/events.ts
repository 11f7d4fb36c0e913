// Events derived from conditions, pure; operator/kube records them.
import type { Condition } from '#crds/kubernetes.ts'

export interface EventFact {
  type: 'Normal' | 'Warning'
  reason: string
  note: string
}

export interface ConditionEventRules {
  /** Types whose turning False is a warning. */
  warnWhenFalse?: string[]
  /** Types whose turning True is said. */
  sayWhenTrue?: string[]
  /** Types whose turning True is a warning. */
  warnWhenTrue?: string[]
  /** Reasons of a type that are a warning whenever they begin. */
  warnReasons?: Record<string, string[]>
  /** Reasons of a type that are said whenever they begin. */
  sayReasons?: Record<string, string[]>
}

/** One event for each condition whose status or reason changed in a way that the rules name. */
export function conditionEvents(
  before: Condition[] | undefined,
  after: Condition[] | undefined,
  rules: ConditionEventRules,
): EventFact[] {
  return (after ?? []).flatMap((condition) => {
    const previous = before?.find((entry) => entry.type === condition.type)
    if (previous?.status === condition.status && previous.reason === condition.reason) return []
    const type = eventType(condition, rules)
    return type ? [{ type, reason: condition.reason, note: condition.message }] : []
  })
}

function eventType(condition: Condition, rules: ConditionEventRules): EventFact['type'] | undefined {
  const { type, status, reason } = condition
  if (status === 'True' && rules.warnWhenTrue?.includes(type)) return 'Warning'
  if (status === 'True' && rules.sayWhenTrue?.includes(type)) return 'Normal'
  if (status === 'False' && rules.warnWhenFalse?.includes(type)) return 'Warning'
  if (rules.warnReasons?.[type]?.includes(reason)) return 'Warning'
  return rules.sayReasons?.[type]?.includes(reason) ? 'Normal' : undefined
}
