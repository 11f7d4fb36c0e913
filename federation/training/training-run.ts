/*
 * The state of one training: parameters, optimiser state, random numbers and the buffers that a step needs.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node'

import { constantTensors } from './constants.ts'
import { TrainingDiverged } from './errors.ts'
import { batchTensors, parameterTensors, tensor, type Tensors } from './feeds.ts'
import { elementCount, type StateTensor, type TrainingManifest } from './manifest.ts'
import { Random } from './random.ts'
import type { TrainRequest } from './requests.ts'
import { type Batch, fillBatch, newBatch } from './samples.ts'

const DROPOUT_STREAM = 1

interface Buffer {
  parameters: Float32Array
  feeds: Tensors
  fetches: Tensors
}

/**
 * Parameters and optimiser state live in two buffers that take turns: a step reads one and writes the other,
 * so no step allocates.
 */
export class TrainingRun {
  steps = 0
  private readonly request: TrainRequest
  private readonly manifest: TrainingManifest
  private readonly session: InferenceSession
  private readonly dropout: Random
  private readonly batch: Batch
  private readonly loss = new Float32Array(1)
  private readonly learningRate: Float32Array
  private readonly corrections = [new Float32Array(1), new Float32Array(1)] as const
  private readonly uniforms: Float32Array[]
  private readonly buffers: Buffer[]

  constructor(manifest: TrainingManifest, session: InferenceSession, request: TrainRequest) {
    this.request = request
    this.manifest = manifest
    this.session = session
    this.dropout = new Random(request.seed, DROPOUT_STREAM)
    this.batch = newBatch(manifest, manifest.batchSize)
    this.learningRate = Float32Array.of(request.learningRate)
    this.uniforms = manifest.uniforms.map(({ shape }) => new Float32Array(elementCount(shape)))
    this.buffers = this.turns()
  }

  async step(order: Uint32Array, first: number): Promise<{ rows: number; loss: number }> {
    this.request.signal?.throwIfAborted()
    const rows = fillBatch(this.batch, this.request.samples, order, first)
    this.steps += 1
    for (const uniform of this.uniforms) this.dropout.fillUniform(uniform)
    this.fillCorrections()
    const [source, target] = this.buffers
    if (!source || !target) throw new Error('unreachable: there are two buffers')
    await this.session.run(source.feeds, target.fetches)
    this.buffers.reverse()
    const loss = this.loss[0] ?? NaN
    if (!Number.isFinite(loss)) throw new TrainingDiverged(this.steps, `the loss is ${loss}`)
    return { rows, loss }
  }

  finish(): Float32Array {
    const parameters = this.buffers[0]?.parameters ?? new Float32Array(0)
    for (const parameter of this.manifest.parameters) {
      const end = parameter.offset + elementCount(parameter.shape)
      const at = parameters.subarray(parameter.offset, end).findIndex((value) => !Number.isFinite(value))
      if (at >= 0) throw new TrainingDiverged(this.steps, `parameter ${parameter.name}[${at}] is not finite`)
    }
    return parameters
  }

  private fillCorrections(): void {
    const { optimizer, corrections } = this.manifest
    if (!corrections || !('beta1' in optimizer)) return
    this.corrections[0][0] = 1 / (1 - optimizer.beta1 ** this.steps)
    this.corrections[1][0] = 1 / (1 - optimizer.beta2 ** this.steps)
  }

  private turns(): Buffer[] {
    const shared = this.sharedFeeds()
    return [Float32Array.from(this.request.parameters), new Float32Array(this.manifest.parameterCount)].map(
      (parameters) => {
        const state = this.manifest.state.map((entry) => ({ ...entry, value: filled(entry) }))
        const named = (key: 'name' | 'output'): Tensors => ({
          ...parameterTensors(this.manifest, parameters, key),
          ...Object.fromEntries(state.map((entry) => [entry[key], entry.value])),
        })
        const loss = { [this.manifest.training.loss]: tensor(this.loss, []) }
        return {
          parameters,
          feeds: { ...shared, ...named('name') },
          fetches: { ...named('output'), ...loss },
        }
      },
    )
  }

  private sharedFeeds(): Tensors {
    const { manifest } = this
    const feeds = batchTensors(manifest, this.batch)
    Object.assign(feeds, constantTensors(manifest, this.request.constants))
    feeds[manifest.learningRate] = tensor(this.learningRate, [])
    if (manifest.corrections) {
      feeds[manifest.corrections.first] = tensor(this.corrections[0], [])
      feeds[manifest.corrections.second] = tensor(this.corrections[1], [])
    }
    for (const [index, { name, shape }] of manifest.uniforms.entries()) {
      feeds[name] = tensor(this.uniforms[index] ?? new Float32Array(0), shape)
    }
    return feeds
  }
}

function filled({ shape, initial }: StateTensor): Tensor {
  return tensor(new Float32Array(elementCount(shape)).fill(initial), shape)
}
