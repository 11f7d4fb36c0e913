/*
 * How a training step is kept under a memory limit, from what costs nothing to what costs most: as it is; one step a
 * call; activations computed again in the backward pass; the batch in parts; both. Pure decisions: what a plan needs is
 * found out by compiling it.
 */
import { ModelError } from './errors.ts'

export interface MemoryPlan {
  /** Parts that a batch is trained in; 1: the whole at once. */
  microBatches: number
  /** Segments of the forward pass, of which all but the last are computed again; 1: none. */
  segments: number
  /** Whether a call takes one step, whatever a step costs. */
  singleStep: boolean
}

export const UNLIMITED: MemoryPlan = { microBatches: 1, segments: 1, singleStep: false }

const SEGMENTS = [2, 3, 4, 6, 8, 12, 16] as const
const SEGMENTS_OF_PARTS = [2, 4] as const

/** The plans after the unlimited one, in the order in which they are tried. */
export function plansFor({
  batchSize,
  mixesRows,
  isPrivate,
}: {
  batchSize: number
  /** Whether rows of a batch depend on one another, as with BatchNormalization. */
  mixesRows: boolean
  /** A private step goes through the batch row by row already. */
  isPrivate: boolean
}): MemoryPlan[] {
  const single = { ...UNLIMITED, singleStep: true }
  if (isPrivate) return [single]
  const again = SEGMENTS.map((segments) => ({ ...single, segments }))
  const counts = mixesRows ? [] : countsOf(batchSize)
  const parts = counts.map((microBatches) => ({ ...single, microBatches }))
  const both = counts.flatMap((microBatches) =>
    SEGMENTS_OF_PARTS.map((segments) => ({ ...single, microBatches, segments })),
  )
  return [single, ...again, ...parts, ...both]
}

/** Divisors above 1, each at least half as much again as the one before, and at the end one row a part. */
function countsOf(batchSize: number): number[] {
  const divisors = Array.from({ length: batchSize }, (_, index) => index + 1).filter(
    (each) => batchSize % each === 0,
  )
  let last = 1
  return divisors.filter((each) => {
    const isChosen = each > 1 && (each >= 1.5 * last || each === batchSize)
    if (isChosen) last = each
    return isChosen
  })
}

/** In words, for messages and reports. */
export function planText({ microBatches, segments }: Omit<MemoryPlan, 'singleStep'>): string {
  const parts = [
    ...(microBatches > 1 ? [`the batch in ${microBatches} parts`] : []),
    ...(segments > 1 ? [`activations computed again in ${segments} segments`] : []),
  ]
  return parts.length === 0 ? 'the batch at once, activations kept' : parts.join(', ')
}

export function doesNotFit(
  limit: number,
  smallest: { bytes: number; plan: MemoryPlan },
  { mixesRows, isPrivate }: { mixesRows: boolean; isPrivate: boolean },
): ModelError {
  const reason = mixesRows
    ? ' BatchNormalization mixes the rows of a batch, which therefore cannot be trained in parts: freeze its running ' +
      'statistics, or use another normalisation.'
    : ''
  const way = isPrivate ? 'a private step' : planText(smallest.plan)
  return new ModelError(
    `memoryLimit is ${limit} bytes; training needs about ${smallest.bytes} at least (${way}): raise the limit, or ` +
      `lower batchSize.${reason}`,
  )
}
