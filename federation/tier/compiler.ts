// What the hub needs from the training compiler (federation/training), as an interface so that the heavy work runs
// in a thread of its own (compiler-worker.ts) and tests can do without it.
import type { Range } from '../training/personalization.ts'

export interface CompiledTraining {
  readonly manifest: Uint8Array
  readonly trainingStep: Uint8Array
  readonly evaluation: Uint8Array
  /** The model's own parameters: float32, little-endian, in the manifest's order. */
  readonly parameters: Uint8Array
  /** Values at their beginning that training moves; the rest is running state. */
  readonly trainableCount: number
  /** The tensors that they are made of, in their order. */
  readonly tensors: readonly { readonly shape: number[]; readonly trainable: boolean }[]
  /** Where the parameters lie that stay on the nodes; none when absent. */
  readonly localRanges?: readonly Range[]
  /** The model that each node trains for itself, when it does. */
  readonly personal?: { readonly manifest: Uint8Array; readonly trainingStep: Uint8Array }
}

export interface CompileSettings {
  /** JSON of a TrainingConfiguration. */
  readonly configuration: string
  /** JSON of a Personalization. */
  readonly personalization?: string | undefined
}

export interface ModelCompiler {
  /** Reads a model and checks that it can be trained. Rejects with ModelRefused. */
  admit(model: Uint8Array): Promise<{ readonly parameterCount: number }>
  /** Compiles the graphs of a campaign. Rejects with ModelRefused. */
  compile(model: Uint8Array, settings: CompileSettings): Promise<CompiledTraining>
  /** Puts new parameters into the model; the result is a self-contained .onnx file. */
  publish(parts: PublishParts): Promise<Uint8Array>
  /** What a node needs that has `base` and wants `next`: federation/tensors parameter-delta.ts. */
  delta(parts: DeltaParts): Promise<Uint8Array>
  close(): Promise<void>
}

export interface DeltaParts {
  /** Float32, little-endian, both of them. */
  readonly base: Uint8Array
  readonly next: Uint8Array
  readonly tensors: CompiledTraining['tensors']
}

export interface PublishParts {
  /** The .onnx file that was compiled. */
  readonly model: Uint8Array
  /** The manifest of its compilation. */
  readonly manifest: Uint8Array
  readonly parameters: Uint8Array
}

/** The model, not the machine, is the reason: trying again will not help. */
export class ModelRefused extends Error {
  override name = 'ModelRefused'
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}
