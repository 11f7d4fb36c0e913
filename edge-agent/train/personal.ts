// What belongs to the node alone: parameters that stay here (LocalParameters) or a whole model of its own (Ditto). Both begin as
// the global model and are kept as state, so they advance exactly with the updates that the hub accepts.
import type { LocalTrainer, TrainRequest, TrainingManifest } from '#federation/training/index.ts'
import { localRanges } from '#federation/training/personalization.ts'

/** Vectors that a node keeps between rounds, by name. */
export type ClientVectors = Readonly<Record<string, Float32Array>>

/** The values of the parameters that stay here, one after another. */
const LOCAL_PARAMETERS = 'localParameters'
/** All parameters of the node's own model. */
const PERSONAL_MODEL = 'personalModel'

/** What the node trains from: the global parameters, with its own values in their places. */
export function withLocalParameters(
  manifest: TrainingManifest,
  global: Float32Array,
  state: ClientVectors,
): Float32Array {
  const own = state[LOCAL_PARAMETERS]
  if (!own) return global
  const ranges = localRanges(manifest)
  const length = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  if (own.length !== length) {
    throw new RangeError(`the node kept ${own.length} values of its own; the graphs have ${length}`)
  }
  const parameters = global.slice()
  let taken = 0
  for (const { start, end } of ranges) {
    parameters.set(own.subarray(taken, (taken += end - start)), start)
  }
  return parameters
}

/** What the node keeps of the parameters it has trained. */
export function localParametersOf(manifest: TrainingManifest, trained: Float32Array): ClientVectors {
  const parts = localRanges(manifest).map(({ start, end }) => trained.subarray(start, end))
  if (parts.length === 0) return {}
  const own = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let filled = 0
  for (const part of parts) {
    own.set(part, filled)
    filled += part.length
  }
  return { [LOCAL_PARAMETERS]: own }
}

/** What the node evaluates: its own model if it has one, or else the global one with its own values. */
export function personalParameters(
  manifest: TrainingManifest,
  global: Float32Array,
  state: ClientVectors,
): Float32Array {
  return state[PERSONAL_MODEL] ?? withLocalParameters(manifest, global, state)
}

/** One round of Ditto: the node's own model goes on training, drawn to the global parameters that the round began with. */
export async function trainPersonally(
  trainer: LocalTrainer,
  round: Omit<TrainRequest, 'constants' | 'onProgress' | 'measureInitialLoss'>,
  state: ClientVectors,
): Promise<ClientVectors> {
  const { parameters: global, samples, epochs, learningRate, seed, signal } = round
  const { parameters } = await trainer.trainEpochs({
    parameters: state[PERSONAL_MODEL] ?? global,
    ...{ samples, epochs, learningRate, seed },
    ...(signal && { signal }),
    constants: { reference: global.subarray(0, trainer.manifest.trainableCount) },
  })
  return { [PERSONAL_MODEL]: parameters }
}
