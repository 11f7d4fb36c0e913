// From the values of an update to the bytes that travel, as the campaign's codec wants them, and what the encoding left out,
// which the node keeps for its next update. Same values, same seed, same bytes.
import { encodeUpdate, encodeWithFeedback } from '#federation/tensors/codec.ts'
import { readTransferConfiguration } from '#federation/tensors/configuration.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import type { TrainingManifest } from '#federation/training/index.ts'

import { TrainingFailure } from './failures.ts'
import type { LocalResult } from './local-training.ts'

export interface EncodingSettings {
  /** JSON of a TransferConfiguration. */
  readonly transfer: string
  /** 32 random bits, new for each round and node. */
  readonly seed: number
}

export interface Encoded {
  readonly bytes: Uint8Array
  /** The node's next state, with what is left over. */
  readonly state: LocalResult['state']
}

export async function encode(
  { update, state }: Pick<LocalResult, 'update' | 'state'>,
  manifest: TrainingManifest,
  { transfer, seed }: EncodingSettings,
): Promise<Encoded> {
  const { upload } = readTransferConfiguration(JSON.parse(transfer))
  const { codec } = upload
  const section = update.length - manifest.parameterCount
  const layout = updateLayout(manifest.parameters, section > 0 ? [section] : [])
  try {
    if (!upload.errorFeedback) return { bytes: encodeUpdate(update, layout, codec, seed), state }
    const { residual: before, ...others } = state
    const { encoded, residual } = await encodeWithFeedback(update, before, { layout, codec, seed })
    return { bytes: encoded, state: { ...others, residual } }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new TrainingFailure('TrainingDiverged', `the update cannot be encoded: ${error.message}`)
  }
}
