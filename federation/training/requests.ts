/*
 * What a trainer is asked and what it answers.
 */
import type { Constants } from './constants.ts'
import type { Metric } from './manifest.ts'
import type { TrainingMemory } from './memory.ts'
import type { Samples } from './samples.ts'

export interface Progress {
  epoch: number
  epochs: number
  step: number
  steps: number
  /** Weighted mean loss of the step's batch. */
  loss: number
}

export interface TrainRequest {
  parameters: Float32Array
  samples: Samples
  epochs: number
  learningRate: number
  /** Drives the order of the samples and Dropout: an integer from 0 to 2^53 - 1. */
  seed: number
  /**
   * Drives the noise of a model that was compiled with privacy, and goes with no other: an integer from 0 to 2^53 - 1 that
   * the node draws and tells nobody, since whoever knows it can take the noise off again.
   */
  noiseSeed?: number
  /** The vectors that the manifest's objective needs, by role. */
  constants?: Constants
  /** Whether to evaluate the given parameters on the samples first, as q-FedAvg wants it. */
  measureInitialLoss?: boolean
  /** Where this training's arrays come from. With it the result's parameters are valid until it is given again. */
  memory?: TrainingMemory
  onProgress?: (progress: Progress) => void
  signal?: AbortSignal
}

export interface TrainResult {
  parameters: Float32Array<ArrayBuffer>
  /** Mean loss over the samples of the last epoch. */
  loss: number
  /** Mean loss over the samples of each epoch. */
  epochLosses: number[]
  /** Mean loss of the given parameters on the samples, in inference mode; where it was asked for. */
  initialLoss?: number
  samples: number
  steps: number
}

export interface EvaluateRequest {
  parameters: Float32Array
  samples: Samples
  signal?: AbortSignal
}

export interface EvaluationSums {
  loss: number
  weight: number
  correct?: number
  absoluteError?: number
  squaredError?: number
}

export interface EvaluateResult {
  samples: number
  sums: EvaluationSums
  metrics: Partial<Record<Metric, number>>
}
