// What a way of merging updates must offer to the merging engine (merge.ts). A strategy is pure: from what it is told
// about the updates, and from their inner products if it asks for them, it says how they are combined; then it makes the
// server's step, slice by slice. Updates come in the order of their participants' names, so that the same set gives the same bits.

/** One accepted update as a strategy sees it. */
export interface UpdateDescription {
  readonly participant: string
  /** Training samples behind the update. */
  readonly samples: number
  /** Steps of the local optimiser. */
  readonly steps?: number
  /** Loss of the received global parameters on the participant's training samples. */
  readonly initialLoss?: number | undefined
  /** Merges since the parameters that the update started from; 0, also when absent, for the present ones. */
  readonly staleness?: number
  /** Share of its weight that it has in a mean by samples: from 0, without, to 1, the whole, also when absent. */
  readonly discount?: number
}

/** What else a strategy may depend on. */
export interface RoundContext {
  /** The round's number, from 1. */
  readonly round: number
  /** Participants of the campaign, whether or not they took part in this round. */
  readonly participants: number
  /** Learning rate of this round's local training. */
  readonly learningRate: number
}

/** Parts that follow the parameters in an update. `control`: the change of the control variate, a value for each trainable one. */
export type Section = 'control'

/**
 * What a strategy must know of the updates' geometry: nothing; `Norms`: squared norms of the trainable values (n numbers);
 * `Pairs`: inner products of all parameters of every two (n × n numbers).
 */
export type Geometry = 'None' | 'Norms' | 'Pairs'

/** How updates become one vector. Indices are positions in the list of updates. */
export type Combination =
  /** Σ weights[k] · update[k] / divisor; an update of weight 0 is not read. */
  | { readonly how: 'WeightedSum'; readonly weights: Float64Array; readonly divisor: number }
  /** Mean of each coordinate's sorted values from `lo` to before `hi`. */
  | {
      readonly how: 'SortedMean'
      readonly members: readonly number[]
      readonly lo: number
      readonly hi: number
    }
  /** Mean of each coordinate's `count` values nearest to their median. */
  | { readonly how: 'MeanAroundMedian'; readonly members: readonly number[]; readonly count: number }

/** How each part of the updates is combined. */
export interface Combinations {
  readonly trainable: Combination
  /** Running state, such as BatchNormalization's statistics: it is combined and added, and no server optimiser moves it. */
  readonly running: Combination
  /** In the order of the strategy's `sections`. */
  readonly sections: readonly Combination[]
}

export interface CombineInput {
  /** At least one, in the order of participants. */
  readonly updates: readonly UpdateDescription[]
  readonly context: RoundContext
  /** As `geometry` asks; empty for `None`. */
  readonly geometry: Float64Array
}

/** Trainable values of a merge, at the same positions in all arrays. */
export interface ServerSlice {
  readonly base: Float32Array
  readonly aggregate: Float64Array
  /** Aggregates of the sections, in their order. */
  readonly sections: readonly Float64Array[]
  /** Server state, in the order of `serverState`: the previous values, to be overwritten by the next. */
  readonly state: readonly Float32Array[]
  /** Receives the new parameters. */
  readonly out: Float32Array
}

export interface StepContext extends RoundContext {
  /** Number of updates in this merge. */
  readonly updates: number
}

/** What a strategy's file defines. */
export interface MergingRule {
  readonly sections: readonly Section[]
  readonly needsInitialLoss: boolean
  readonly geometry: Geometry
  /** Names of the vectors that the server keeps from one merge to the next: a float32 value for each trainable one, 0 at first. */
  readonly serverState: readonly string[]
  /** True when a tier may send Σ samples · update of its members, and Σ samples, in their place. */
  readonly allowsTiers: boolean
  /** Why this update cannot be merged; undefined when it can. */
  problemWith(update: UpdateDescription): string | undefined
  combine(input: CombineInput): Combinations
  /** Without it, new parameters are base + aggregate; needed to use sections or server state. */
  step?(slice: ServerSlice, context: StepContext): void
}

export interface Strategy extends MergingRule {
  /** The name in a FederatedRound's manifest. */
  readonly type: string
  /** Why so many updates cannot be merged; undefined when they can. */
  precondition(updates: number): string | undefined
}
