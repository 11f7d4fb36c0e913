// Parameters that stay on the nodes are not merged: wherever an update has values for them, merging reads zeros, whatever
// codec carried the update and whatever a node wrote there. The global model keeps what its base version had.
import type { OpenReader } from '#federation/aggregation/reader.ts'
import { clearRanges, type Range } from '#federation/training/personalization.ts'

interface Counts {
  readonly parameterCount: number
  readonly trainableCount: number
  /** How many vectors of the trained values follow the parameters in an update. */
  readonly sections: number
}

/** The places of the same parameters in a whole update, sections included. */
export function rangesOfUpdate(ranges: readonly Range[], counts: Counts): Range[] {
  const { parameterCount, trainableCount, sections } = counts
  const trained = ranges.filter(({ end }) => end <= trainableCount)
  const all = [...ranges]
  for (let section = 0; section < sections; section++) {
    const offset = parameterCount + section * trainableCount
    all.push(...trained.map(({ start, end }) => ({ start: start + offset, end: end + offset })))
  }
  return all
}

/** The same values with zeros in the ranges. They are not read from the file as it is, so `file` is left out. */
export function withoutValues(open: OpenReader, ranges: readonly Range[]): OpenReader {
  if (ranges.length === 0) return open
  return async () => {
    const reader = await open()
    const read = async (start: number, into: Float32Array): Promise<void> => {
      await reader.read(start, into)
      clearRanges(into, ranges, start)
    }
    return { length: reader.length, read, close: async () => reader.close() }
  }
}
