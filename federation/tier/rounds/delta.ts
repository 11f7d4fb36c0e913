// What a node needs that has the parameters a round started from and wants those it ended with: a lossless difference, for
// campaigns that ask for one. It is an offer: when it cannot be made, or is no smaller, nodes fetch all parameters.
import type { ModelCompiler } from '../compiler.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { ResultRecord, StartRecord } from '../store/records.ts'

export interface DeltaContext {
  readonly blobs: BlobStore
  readonly compiler: Pick<ModelCompiler, 'delta'>
  readonly tensors: StartRecord['tensors']
}

/** The caller holds the blobs. */
export async function deltaBetween(
  base: ResultRecord['parameters'],
  next: ResultRecord['parameters'],
  { blobs, compiler, tensors }: DeltaContext,
): Promise<ResultRecord['delta']> {
  const parts = { base: await blobs.read(base.digest), next: await blobs.read(next.digest), tensors }
  const bytes = await compiler.delta(parts)
  if (bytes.byteLength >= next.size) return undefined
  return { baseDigest: base.digest, blob: await blobs.put(bytes) }
}
