// The step from a round's committed updates to its new parameters: the same set of updates gives the same bits, however
// often it is repeated after a crash.
import { float32File } from '#federation/aggregation/float32-file.ts'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import { strategyByName } from '#federation/aggregation/strategies.ts'
import type { BlobReference, BlobStore } from '../store/blobs.ts'
import type { Round } from './round.ts'

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

export interface MergeContext {
  /** Name of the aggregation strategy. */
  readonly strategy: string
  readonly blobs: BlobStore
  readonly kernels: Kernels
  readonly signal: AbortSignal
}

/** Writes the parameters that the round started from plus the aggregated difference; the caller holds the blobs. */
export async function mergeRound(
  round: Round,
  { strategy: name, blobs, kernels, signal }: MergeContext,
): Promise<BlobReference> {
  const strategy = strategyByName(name)
  if (!strategy) throw new Error(`no strategy ${name}`)
  const updates = (round.commit?.updates ?? []).map(({ digest, ...update }) => ({
    ...update,
    open: float32File(round.uploadPath(update.participant, digest)),
  }))
  const { base, participants } = round.attempt
  const parameterCount = base.size / BYTES_PER_VALUE
  return blobs.write((write) =>
    mergeUpdates({
      ...{ strategy, updates, parameterCount, kernels, signal, write },
      base: float32File(blobs.path(base.digest)),
      // What FedAvg, the only strategy that a plan can name so far, does not depend on.
      trainableCount: parameterCount,
      context: { round: round.number, participants: participants.length, learningRate: 1 },
    }),
  )
}
