// Where a training pod, or a controller further down, belongs that talks to this tier: here, to a controller below, or nowhere until
// a controller is there again. Pure.
import type { Parent } from '../../wire/generated/tributary.ts'
import type { CheckedTierNode } from './tier-nodes.ts'

export type Belonging =
  | { readonly to: 'here' }
  | { readonly to: 'controller'; readonly parent: Parent }
  /** The manifest says that the controller is replaced: nobody else takes its place. */
  | { readonly to: 'nobody' }

/** @param way the tiers between here and there, the nearest first */
export function belongingOf(
  way: readonly CheckedTierNode[],
  introductionOf: (tier: CheckedTierNode) => Parent | undefined,
): Belonging {
  for (const tier of way) {
    const parent = introductionOf(tier)
    if (parent) return { to: 'controller', parent }
    if (tier.replacedWhenLost) return { to: 'nobody' }
  }
  return { to: 'here' }
}
