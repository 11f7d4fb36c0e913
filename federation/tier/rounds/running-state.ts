// With FedBuff an update may have started from older parameters than those it is merged into. What training moved is added as it
// is, as in the paper. Running state is no sum of changes: the fall of an older variance would make a smaller one negative, and
// every prediction after it no number. It is merged as the difference to the parameters of the merge, so that the result lies
// between what was there and what the nodes found.
import type { OpenReader } from '#federation/aggregation/reader.ts'
import type { Range } from '#federation/training/personalization.ts'

export interface Bases {
  /** The parameters that the update started from, and those that it is merged into. */
  readonly from: OpenReader
  readonly into: OpenReader
  /** Where in the parameters running state lies. */
  readonly running: Range
  /** How often these parameters are in the update: the samples of a sum of updates. Default 1. */
  readonly samples?: number
}

/** The same update with its running state as a difference to the newer parameters. */
export function withRunningStateInto(
  open: OpenReader,
  { from, into: base, running, samples = 1 }: Bases,
): OpenReader {
  if (running.start === running.end) return open
  return async () => {
    const reader = await open()
    const read = async (start: number, into: Float32Array): Promise<void> => {
      await reader.read(start, into)
      const first = Math.max(running.start, start)
      const end = Math.min(running.end, start + into.length)
      if (first >= end) return
      const [older, newer] = [await valuesOf(from, first, end), await valuesOf(base, first, end)]
      const changes = into.subarray(first - start, end - start)
      // The node's own value first: what it found may be close to the newer one.
      for (const [i, change] of changes.entries()) {
        changes[i] = Math.fround(change + samples * (older[i] as number)) - samples * (newer[i] as number)
      }
    }
    return { length: reader.length, read, close: async () => reader.close() }
  }
}

/** Opened for each slice: running state is small, and a merge has many updates. */
async function valuesOf(open: OpenReader, first: number, end: number): Promise<Float32Array> {
  const reader = await open()
  try {
    const values = new Float32Array(end - first)
    await reader.read(first, values)
    return values
  } finally {
    await reader.close()
  }
}
