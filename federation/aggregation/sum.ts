// What a tier sends in place of its members' updates: their sum, each times its samples. Merging sums in place of what they are
// sums of gives the same: to the bit while whole numbers stay below 2²⁴, else to the rounding of a float32 for each tier on the way.
// Guarantees as merge.ts: the result depends on the set of updates alone, memory is bounded, nothing but finite numbers is handed on.
import { Combiner } from './combine.ts'
import type { Kernels } from './kernels.ts'
import { everywhere, meanBySamples } from './mean.ts'
import { areFinite, inParticipantOrder, type AcceptedUpdate, type MergeOptions, type Sink } from './merge.ts'
import { Sources } from './reader.ts'
import { referenceKernels } from './reference-kernels.ts'
import { Rows } from './rows.ts'
import { combiningSlice, slicesOf } from './slices.ts'
import { withSums } from './summed.ts'

export interface SumOptions extends Pick<MergeOptions, 'kernels' | 'signal' | 'memoryBytes'> {
  /** At least one; those of tiers below are `summed` themselves. */
  readonly updates: readonly AcceptedUpdate[]
  /** Values of each update. */
  readonly length: number
  /** Receives Σ samples · update, rounded to float32. */
  readonly write: Sink
}

const DEFAULT_MEMORY_BYTES = 8 * 1024 * 1024

/** @returns Σ samples. Rejects when two updates have one participant, a reader has another length, or a sum exceeds float32. */
export async function sumUpdates(options: SumOptions): Promise<number> {
  const { length, write, kernels = referenceKernels, signal } = options
  const updates = inParticipantOrder(options.updates)
  const combination = withSums(meanBySamples(updates), updates)
  signal?.throwIfAborted()
  const sources = new Sources(
    updates.map(({ participant, open }) => ({ name: `update of ${participant}`, length, open })),
  )
  try {
    const combiner = new Combiner(new Rows(sources, kernels, signal), kernels)
    const budget = { length, memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES, taken: 0 }
    const longest = combiningSlice(everywhere(combination), 0, budget)
    const [sums, out] = [new Float64Array(longest), new Float32Array(longest)]
    for (const slice of slicesOf(0, length, longest)) {
      signal?.throwIfAborted()
      const part = sums.subarray(0, slice.length)
      await combiner.combine(combination, slice, part)
      const rounded = out.subarray(0, slice.length)
      rounded.set(part)
      await write(finiteBytes(rounded, slice.start, kernels))
    }
  } finally {
    await sources.close()
  }
  return updates.reduce((sum, { samples }) => sum + samples, 0)
}

function finiteBytes(values: Float32Array, start: number, kernels: Kernels): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  if (areFinite(kernels, bytes)) return bytes
  const wrong = values.findIndex((value) => !Number.isFinite(value))
  throw new RangeError(`value ${start + wrong} of the sum became ${values[wrong]}; an update was too large`)
}
