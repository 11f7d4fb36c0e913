// What is asked of the thread that trains and what it answers. Files are named by path: they were verified when they
// were downloaded, and a message between threads stays small.
import type { HoldoutSplit } from '#federation/wire/generated/tributary.ts'

import type { StateVector } from './client-state.ts'
import type { EncodingSettings } from './encoding.ts'

export interface GraphFiles {
  readonly manifest: string
  readonly trainingStep: string
  readonly evaluation: string
  /** The model that the node trains for itself, with Ditto. */
  readonly personal?: { readonly manifest: string; readonly trainingStep: string } | undefined
}

interface Job {
  readonly graphs: GraphFiles
  /** Flat float32 vector, little-endian. */
  readonly parameters: string
  readonly holdoutFraction: number
  readonly holdoutSplit: HoldoutSplit
  /** The campaign's seed: it draws the held-out rows, the same in every round. */
  readonly campaignSeed: number
  /** Vectors that the node kept from earlier rounds, by name. */
  readonly state: Readonly<Record<string, string>>
}

export interface TrainJob extends Job {
  readonly kind: 'train'
  readonly epochs: number
  readonly learningRate: number
  /** Drives the order of the samples and Dropout in this round on this node. */
  readonly seed: number
  /** SCAFFOLD's control variate of the hub, if it has one already. */
  readonly serverControl: string | undefined
  readonly measureInitialLoss: boolean
  /** How the update is encoded. */
  readonly encoding: EncodingSettings
  /** Where the vectors go that the node keeps once the update is accepted. */
  readonly stateFolder: string
  /** Where the update goes. */
  readonly outputFolder: string
  readonly outputName: string
}

export interface EvaluateJob extends Job {
  readonly kind: 'evaluate'
}

export interface TrainAnswer {
  readonly samples: number
  /** Optimiser steps. */
  readonly steps: number
  /** Mean over the samples of the last epoch. */
  readonly loss: number
  /** Loss of the given parameters on the training samples, if it was asked for. */
  readonly initialLoss?: number
  /** What the node keeps once the update is accepted. */
  readonly state: StateVector[]
  /** Of the update's file. */
  readonly digest: string
  readonly size: number
}

export interface EvaluateAnswer {
  readonly samples: number
  readonly metrics: Record<string, number>
}

export interface TrainerProgress {
  readonly steps: number
  readonly totalSteps: number
  /** Mean over the samples seen so far. */
  readonly loss: number
}

/** Carries out one job at a time, off the main thread. Failures are TrainingFailures. */
export interface Trainer {
  train(
    job: TrainJob,
    onProgress: (progress: TrainerProgress) => void,
    signal: AbortSignal,
  ): Promise<TrainAnswer>
  evaluate(job: EvaluateJob, signal: AbortSignal): Promise<EvaluateAnswer>
  close(): Promise<void>
}

export type ThreadRequest =
  | { readonly id: number; readonly kind: 'start'; readonly job: TrainJob | EvaluateJob }
  | { readonly id: number; readonly kind: 'cancel' }

export type ThreadReply =
  | { readonly id: number; readonly kind: 'progress'; readonly progress: TrainerProgress }
  | { readonly id: number; readonly kind: 'trained'; readonly answer: TrainAnswer }
  | { readonly id: number; readonly kind: 'evaluated'; readonly answer: EvaluateAnswer }
  | { readonly id: number; readonly kind: 'cancelled' }
  | {
      readonly id: number
      readonly kind: 'failed'
      readonly reason: string
      readonly message: string
      readonly local: string | undefined
    }

/** Given to the thread when it starts. */
export interface ThreadSettings {
  readonly role: 'trainer'
  /** The value of TRIBUTARY_DATASET. */
  readonly dataset: string
  readonly dataFolder: string
  /** URL that the threads of a training which is divided among several start from. */
  readonly shardEntry?: string | undefined
}
