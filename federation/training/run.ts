/* A training under way, whoever computes its gradients. */
import { TrainingDiverged } from './errors.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import type { TrainRequest } from './requests.ts'
import { firstNotFinite } from './samples.ts'

/** Of `Random`: numbers of Dropout. */
export const DROPOUT_STREAM = 1

/** What one step did. */
export interface Step {
  /** Samples in its batch. */
  rows: number
  loss: number
}

export interface Run {
  /** Taken so far. */
  readonly steps: number
  /** Takes the steps over `order[first…]`, as many as a call takes. */
  call: (order: Uint32Array, first: number) => Promise<Step[]>
  /** The new parameters. */
  finish: () => Float32Array<ArrayBuffer>
}

/** Throws TrainingDiverged where a parameter is infinite or not a number. */
export function checkFinite(manifest: TrainingManifest, parameters: Float32Array, steps: number): void {
  for (const { name, offset, shape } of manifest.parameters) {
    const at = firstNotFinite(parameters.subarray(offset, offset + elementCount(shape)))
    if (at >= 0) throw new TrainingDiverged(steps, `parameter ${name}[${at}] is not finite`)
  }
}

/** Noise that the node alone knows; a model without privacy has none. */
export function noiseSeedOf({ noiseSeed }: TrainRequest, { normals }: TrainingManifest): number {
  const isNoisy = normals.length > 0
  if (isNoisy !== (noiseSeed !== undefined)) {
    throw new RangeError(
      isNoisy
        ? 'noiseSeed is missing; the model adds noise'
        : 'noiseSeed was given, but the model adds no noise',
    )
  }
  return noiseSeed ?? 0
}
