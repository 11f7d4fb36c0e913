/*
 * One shard of each batch: a session of the training graph that reads and writes memory which all threads see. Whoever fills
 * in the batch and reads the gradients does so before and after `run`.
 */
import { InferenceSession } from 'onnxruntime-node'

import { constantTensors, type Constants } from '../constants.ts'
import { parameterTensors, tensor, type Tensors } from '../feeds.ts'
import { freeCopies } from '../free-copies.ts'
import { elementCount, rowsAShard, type TrainingManifest } from '../manifest.ts'
import { type Batch, newBatch } from '../samples.ts'
import { sessionOptions } from '../session-options.ts'

/** Arrays over shared buffers. */
export interface ShardMemory {
  /** The same for all shards. */
  parameters: Float32Array
  constants: Constants
  /** Of the shard. */
  gradients: Float32Array
  batch: Batch
  /** Random numbers for each Dropout, in the manifest's order. */
  uniforms: Float32Array[]
}

export function newShardMemories(manifest: TrainingManifest): ShardMemory[] {
  const { parameterCount, trainableCount, constants: wanted, shards, uniforms } = manifest
  const parameters = sharedFloats(parameterCount)
  const roles = new Set(wanted.map(({ role }) => role))
  const constants = Object.fromEntries([...roles].map((role) => [role, sharedFloats(trainableCount)]))
  return Array.from({ length: shards }, () => ({
    parameters,
    constants,
    gradients: sharedFloats(parameterCount),
    batch: newBatch(manifest, rowsAShard(manifest), (bytes) => new SharedArrayBuffer(bytes)),
    uniforms: uniforms.map(({ shape }) => sharedFloats(elementCount(shape))),
  }))
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT))
}

export class Shard {
  private readonly session: InferenceSession
  private readonly feeds: Tensors
  private readonly fetches: Record<string, Tensors[string] | null>
  private readonly loss: string

  private constructor(session: InferenceSession, manifest: TrainingManifest, memory: ShardMemory) {
    this.session = session
    this.loss = manifest.training.loss
    this.feeds = feedsOf(manifest, memory)
    this.fetches = { ...parameterTensors(manifest, memory.gradients, 'output'), [this.loss]: null }
  }

  static async load(graph: Uint8Array, manifest: TrainingManifest, memory: ShardMemory): Promise<Shard> {
    // The shards share out the threads; within an operator there is one.
    return new Shard(await InferenceSession.create(graph, sessionOptions(1)), manifest, memory)
  }

  /** Renews the gradients; returns the mean loss of the shard's rows. */
  async run(): Promise<number> {
    const outputs = await this.session.run(this.feeds, this.fetches)
    freeCopies(outputs, this.fetches)
    return Number(outputs[this.loss]?.data[0])
  }

  async close(): Promise<void> {
    await this.session.release()
  }
}

function feedsOf(manifest: TrainingManifest, memory: ShardMemory): Tensors {
  const { input, label, rows, sampleWeight, uniforms } = manifest
  const { batch } = memory
  const count = batch.weight.length
  return {
    ...constantTensors(manifest, memory.constants),
    ...parameterTensors(manifest, memory.parameters, 'name'),
    [input.name]: tensor(batch.x, [count, ...input.shape.slice(1)]),
    [label.name]: tensor(batch.y, [count, ...label.shape.slice(1)]),
    [rows]: tensor(
      Int32Array.from({ length: count }, (_, index) => index),
      [1, count],
    ),
    [sampleWeight]: tensor(batch.weight, [1, count]),
    ...Object.fromEntries(
      uniforms.map(({ name, shape }, index) => [
        name,
        tensor(memory.uniforms[index] ?? new Float32Array(), [1, ...shape]),
      ]),
    ),
  }
}
