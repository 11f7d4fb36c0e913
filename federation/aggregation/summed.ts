// Updates that are sums already (sum.ts) among others: a sum holds its samples as a factor, so a strategy's weight counts divided
// by them. For a mean weighted by samples that is exactly 1.
import type { Combination, Combinations } from './strategy.ts'

interface Counted {
  readonly samples: number
  /** The values are Σ samples · update over several members, and `samples` their sum. */
  readonly summed?: boolean
}

/** The same combination of updates some of which are sums. */
export function withSums(combination: Combination, updates: readonly Counted[]): Combination {
  if (combination.how !== 'WeightedSum' || !updates.some(({ summed }) => summed)) return combination
  const weights = combination.weights.map((weight, k) => {
    const { summed, samples } = updates[k] as Counted
    return summed ? weight / samples : weight
  })
  return { ...combination, weights }
}

export function allWithSums(
  { trainable, running, sections }: Combinations,
  updates: readonly Counted[],
): Combinations {
  const trained = withSums(trainable, updates)
  return {
    trainable: trained,
    // The same object where it was the same: where its values lie is looked up once for each.
    running: running === trainable ? trained : withSums(running, updates),
    sections: sections.map((section) => withSums(section, updates)),
  }
}
