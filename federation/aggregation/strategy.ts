// What a way of aggregating updates must offer to the merging engine (merge.ts), which reads the updates in slices.
// A strategy sees one slice of all updates at a time, always in the same order of participants, and keeps no more
// memory than it declares per element, so that a tier's memory depends on the slice and not on who takes part.

/** One accepted update as a strategy sees it: who it is from and how much training is behind it. */
export interface UpdateDescription {
  readonly participant: string
  /** Training samples behind the update. */
  readonly samples: number
}

/** The aggregation of one merge; used for one slice after another. */
export interface SliceAggregation {
  /** Starts a slice of `length` values. */
  begin(length: number): void
  /** Takes the slice of update `index` (its position in the list given to `start`). `values` is only valid during the call. */
  add(index: number, values: Float32Array): void
  /** Writes the aggregated slice. */
  finish(out: Float32Array): void
}

export interface AggregationStrategy {
  /** The name in a FederatedRound's manifest. */
  readonly name: string
  /** Bytes of working memory per value of a slice. A strategy that must see all updates at once says so here and gets shorter slices. */
  bytesPerValue(updates: number): number
  /** @param capacity longest slice that will be begun */
  start(updates: readonly UpdateDescription[], capacity: number): SliceAggregation
}
