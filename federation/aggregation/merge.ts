// The merging engine: reads the spooled updates of a round slice by slice and hands the aggregated parameters to a
// sink, first value first. Guarantees: the result depends on the set of updates alone (they are taken in the order
// of their participants' names); memory and open files are bounded whatever the number of updates; every read is
// awaited, so other work of the process goes on between slices.
import { open, type FileHandle } from 'node:fs/promises'
import type { AggregationStrategy, SliceAggregation, UpdateDescription } from './strategy.ts'

/** An accepted update on disk: float32 values, little-endian, nothing else in the file. */
export interface SpooledUpdate extends UpdateDescription {
  readonly path: string
}

export interface MergeOptions {
  readonly strategy: AggregationStrategy
  readonly updates: readonly SpooledUpdate[]
  /** Values in the parameter vector: every update must have as many. */
  readonly parameterCount: number
  /** Receives the merged bytes in order. The buffer is reused after the promise is fulfilled. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  readonly signal?: AbortSignal
  /** Working memory of the merge. */
  readonly memoryBytes?: number
}

const DEFAULT_MEMORY_BYTES = 8 * 1024 * 1024
/** Beyond this many updates, files are opened anew for each slice. */
const MAXIMUM_OPEN_FILES = 64
const LONGEST_SLICE = 256 * 1024
const SHORTEST_SLICE = 1024
const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

/** Merges the updates. Rejects, naming the participant, when a spooled file has not the expected size. */
export async function mergeUpdates(options: MergeOptions): Promise<void> {
  const updates = inParticipantOrder(options.updates)
  const sliceLength = lengthOfSlice(options, updates.length)
  const aggregation = options.strategy.start(updates, sliceLength)
  const files = new UpdateFiles(updates, options.parameterCount * BYTES_PER_VALUE)
  const values = new Float32Array(sliceLength)
  try {
    for (let start = 0; start < options.parameterCount; start += sliceLength) {
      options.signal?.throwIfAborted()
      const slice = values.subarray(0, Math.min(sliceLength, options.parameterCount - start))
      await aggregateSlice(aggregation, files, slice, start * BYTES_PER_VALUE)
      aggregation.finish(slice)
      await options.write(bytesOf(slice))
    }
  } finally {
    await files.close()
  }
}

async function aggregateSlice(
  aggregation: SliceAggregation,
  files: UpdateFiles,
  slice: Float32Array,
  offset: number,
): Promise<void> {
  aggregation.begin(slice.length)
  for (let index = 0; index < files.count; index++) {
    await files.read(index, bytesOf(slice), offset)
    aggregation.add(index, slice)
  }
}

function inParticipantOrder(updates: readonly SpooledUpdate[]): SpooledUpdate[] {
  const sorted = updates.toSorted((a, b) => (a.participant < b.participant ? -1 : 1))
  for (const [index, update] of sorted.entries()) {
    if (sorted[index + 1]?.participant === update.participant) {
      throw new Error(`participant ${update.participant} has two updates; each counts once`)
    }
  }
  return sorted
}

function lengthOfSlice(options: MergeOptions, updates: number): number {
  const perValue = options.strategy.bytesPerValue(updates) + BYTES_PER_VALUE
  const affordable = Math.floor((options.memoryBytes ?? DEFAULT_MEMORY_BYTES) / perValue)
  return Math.max(SHORTEST_SLICE, Math.min(LONGEST_SLICE, affordable, options.parameterCount))
}

/** Float32 values are read and written as they lie in memory: every platform of Node.js is little-endian but s390x. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Random access to the spooled updates with a bounded number of open files. */
class UpdateFiles {
  readonly #updates: readonly SpooledUpdate[]
  readonly #size: number
  readonly #open = new Map<number, FileHandle>()

  constructor(updates: readonly SpooledUpdate[], size: number) {
    this.#updates = updates
    this.#size = size
  }

  get count(): number {
    return this.#updates.length
  }

  async read(index: number, into: Uint8Array, offset: number): Promise<void> {
    const update = this.#updates[index]
    if (!update) throw new RangeError(`update ${index} is not one of ${this.count}`)
    const file = this.#open.get(index) ?? (await this.#openFile(update))
    try {
      await readFully(file, into, offset, update.participant)
    } finally {
      await this.#keepOrClose(index, file)
    }
  }

  async close(): Promise<void> {
    for (const file of this.#open.values()) await file.close()
    this.#open.clear()
  }

  async #openFile(update: SpooledUpdate): Promise<FileHandle> {
    const file = await open(update.path, 'r')
    const { size } = await file.stat()
    if (size === this.#size) return file
    await file.close()
    throw new Error(`update of ${update.participant} has ${size} bytes; the parameters take ${this.#size}`)
  }

  async #keepOrClose(index: number, file: FileHandle): Promise<void> {
    if (this.#updates.length <= MAXIMUM_OPEN_FILES) this.#open.set(index, file)
    else await file.close()
  }
}

async function readFully(
  file: FileHandle,
  into: Uint8Array,
  offset: number,
  participant: string,
): Promise<void> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, offset + done)
    if (bytesRead === 0) throw new Error(`update of ${participant} ends at byte ${offset + done}`)
    done += bytesRead
  }
}
