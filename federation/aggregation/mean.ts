// What most strategies share: means of the updates, and the server's step that adds one to the parameters.
import type { Combination, Combinations, MergingRule, ServerSlice, UpdateDescription } from './strategy.ts'

/** The parts of a rule that most strategies leave alone. */
export const plainRule = {
  sections: [],
  needsInitialLoss: false,
  geometry: 'None',
  serverState: [],
  allowsTiers: false,
  problemWith: () => undefined,
} as const satisfies Omit<MergingRule, 'combine'>

/** FedBuff's s(τ): what of an update counts that is so many merges old. */
export function discountOf(staleness: number): number {
  return 1 / Math.sqrt(1 + staleness)
}

/**
 * Mean weighted by training samples. The weights are whole numbers, divided by at the end: the mean of equal updates is
 * that update, to the last bit. What a discount takes from an update's weight goes to nobody else: the mean gets shorter, as
 * with FedBuff.
 */
export function meanBySamples(updates: readonly UpdateDescription[]): Combination {
  const weights = Float64Array.from(updates, ({ samples, discount = 1 }) => samples * discount)
  const divisor = updates.reduce((sum, { samples }) => sum + samples, 0)
  if (!(divisor > 0)) {
    throw new RangeError(`samples of all updates together are ${divisor}; a weighted mean needs at least 1`)
  }
  return { how: 'WeightedSum', weights, divisor }
}

/** Mean in which all updates count the same. */
export function equalMean(count: number): Combination {
  return { how: 'WeightedSum', weights: new Float64Array(count).fill(1), divisor: count }
}

/** Equal mean of some of `count` updates. */
export function meanOf(members: readonly number[], count: number): Combination {
  const weights = new Float64Array(count)
  for (const member of members) weights[member] = 1
  return { how: 'WeightedSum', weights, divisor: members.length }
}

/** The same for trainable values and running state, and no sections. */
export function everywhere(combination: Combination): Combinations {
  return { trainable: combination, running: combination, sections: [] }
}

/** New parameters = base + learning rate · aggregate. */
export function stepBy(learningRate: number): (slice: ServerSlice) => void {
  return ({ base, aggregate, out }) => {
    for (let i = 0; i < out.length; i++) {
      out[i] = (base[i] as number) + learningRate * (aggregate[i] as number)
    }
  }
}
