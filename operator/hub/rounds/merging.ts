// The step from a round's committed updates to its new parameters: the same set of updates gives the same bits, however
// often it is repeated after a crash.
import { open, type FileHandle } from 'node:fs/promises'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import { strategyByName } from '#federation/aggregation/strategies.ts'
import type { BlobReference, BlobStore } from '../store/blobs.ts'
import type { Round } from './round.ts'

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

export interface MergeContext {
  /** Name of the aggregation strategy. */
  readonly strategy: string
  readonly blobs: BlobStore
  readonly signal: AbortSignal
}

/** Writes the parameters that the round started from plus the aggregated difference; the caller holds the blobs. */
export async function mergeRound(round: Round, context: MergeContext): Promise<BlobReference> {
  const { blobs, signal } = context
  const strategy = strategyByName(context.strategy)
  if (!strategy) throw new Error(`no strategy ${context.strategy}`)
  const updates = (round.commit?.updates ?? []).map(({ participant, digest, samples }) => ({
    participant,
    samples,
    path: round.uploadPath(participant, digest),
  }))
  const { base } = round.attempt
  const parameterCount = base.size / BYTES_PER_VALUE
  const file = await open(blobs.path(base.digest), 'r')
  try {
    const sum = new BasePlusDifference(file)
    return await blobs.write((write) =>
      mergeUpdates({
        ...{ strategy, updates, parameterCount, signal },
        write: async (difference) => write(await sum.next(difference)),
      }),
    )
  } finally {
    await file.close()
  }
}

/** Adds the aggregated difference, slice after slice, to the parameters that it is a difference to. */
class BasePlusDifference {
  readonly #base: FileHandle
  #position = 0

  constructor(base: FileHandle) {
    this.#base = base
  }

  async next(difference: Uint8Array): Promise<Uint8Array> {
    const bytes = new Uint8Array(difference.byteLength)
    await readFully(this.#base, bytes, this.#position)
    this.#position += bytes.byteLength
    const values = new Float32Array(bytes.buffer)
    const added = new Float32Array(difference.buffer, difference.byteOffset, values.length)
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (added[i] as number)
    return bytes
  }
}

async function readFully(file: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, offset + done)
    if (bytesRead === 0) throw new Error(`the parameters end at byte ${offset + done}`)
    done += bytesRead
  }
}
