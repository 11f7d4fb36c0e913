/* How a batch is shared out among threads, and whether it is worth it. Pure decisions. */
import type { TrainingConfiguration } from '../configuration.ts'

/**
 * What a step must cost, estimated, before threads that wait for one another at every step save time, and for each parameter, of
 * which every thread writes a gradient that the optimiser's step reads.
 */
const LEAST_MICROSECONDS = 1000
const MICROSECONDS_A_PARAMETER = 0.012

export interface Nature {
  /** Whether rows of a batch depend on one another, as with BatchNormalization. */
  mixesRows: boolean
  /** Of a step of the whole batch, estimated. */
  microseconds: number
  /** Elements that learn. */
  parameters: number
}

/**
 * Shards that a batch is divided into, a thread for each; 1 where the gradient of a batch is not the mean of its rows', where
 * something needs the gradient of the whole batch inside the graph, or where a step is too short.
 */
export function shardsFor(
  { threads, batchSize, privacy, gradientClipping, update, stepsPerCall }: TrainingConfiguration,
  { mixesRows, microseconds, parameters }: Nature,
): number {
  if (mixesRows || privacy || gradientClipping || update === 'Graph' || (stepsPerCall ?? 1) > 1) return 1
  // Who wants the step on the host in any case has one step a call, which is what sharing costs a short one.
  const isShort =
    update === undefined && microseconds < LEAST_MICROSECONDS + MICROSECONDS_A_PARAMETER * parameters
  return isShort ? 1 : Math.min(threads, batchSize)
}

/** Rows of each shard of a batch with so many rows: as even as they can be, and none for the last ones where there are too few. */
export function rowsOfShards(rows: number, shards: number): number[] {
  const each = Math.ceil(rows / shards)
  return Array.from({ length: shards }, (_, index) => Math.min(each, Math.max(0, rows - index * each)))
}
