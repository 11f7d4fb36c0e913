/*
 * The state of one training: parameters, optimiser state, random numbers and the buffers that a call needs.
 */
import type { InferenceSession } from 'onnxruntime-node'

import { constantTensors } from './constants.ts'
import { TrainingDiverged } from './errors.ts'
import { tensor, type Tensors } from './feeds.ts'
import { freeCopies } from './free-copies.ts'
import { correctionsAt } from './host-step.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import { TrainingMemory } from './memory.ts'
import { Random } from './random.ts'
import type { TrainRequest } from './requests.ts'
import { checkFinite, DROPOUT_STREAM, noiseSeedOf, type Run, type Step } from './run.ts'
import { type Host, newTrainingState, type TrainingState } from './training-state.ts'

const NOISE_STREAM = 2

export class TrainingRun implements Run {
  steps = 0
  private readonly request: TrainRequest
  private readonly manifest: TrainingManifest
  private readonly session: InferenceSession
  private readonly dropout: Random
  private readonly noise: Random
  private readonly perStep: PerStep
  private readonly shared: Tensors
  private readonly state: TrainingState

  constructor(manifest: TrainingManifest, session: InferenceSession, request: TrainRequest, host: Host) {
    this.request = request
    this.manifest = manifest
    this.session = session
    this.dropout = new Random(request.seed, DROPOUT_STREAM)
    this.noise = new Random(noiseSeedOf(request, manifest), NOISE_STREAM)
    this.perStep = newPerStep(manifest)
    this.shared = this.sharedFeeds()
    const { parameters, learningRate, memory = new TrainingMemory() } = request
    this.state = newTrainingState({ manifest, parameters, learningRate, memory }, host)
  }

  /** Takes the steps over `order[first…]`, as many as a call takes. */
  async call(order: Uint32Array, first: number): Promise<Step[]> {
    this.request.signal?.throwIfAborted()
    const { batchSize, stepsPerCall } = this.manifest
    const count = Math.min(stepsPerCall, Math.ceil((order.length - first) / batchSize))
    const rows = Array.from({ length: count }, (_, index) =>
      this.fill(index, order, first + index * batchSize),
    )
    this.perStep.steps[0] = BigInt(count)
    const { loss } = this.manifest.training
    const { feeds, fetches } = this.state
    const outputs = await this.session.run({ ...this.shared, ...feeds }, { ...fetches, [loss]: null })
    this.state.renew(this.steps + count)
    const losses = outputs[loss]?.data
    freeCopies(outputs, fetches)
    return rows.map((samples, index) => {
      this.steps += 1
      const loss = Number(losses?.[index])
      if (!Number.isFinite(loss)) throw new TrainingDiverged(this.steps, `the loss is ${loss}`)
      return { rows: samples, loss }
    })
  }

  finish(): Float32Array<ArrayBuffer> {
    const { parameters } = this.state
    checkFinite(this.manifest, parameters, this.steps)
    return parameters
  }

  /** Fills in what the call's step `index` gets; returns the number of its samples. */
  private fill(index: number, order: Uint32Array, first: number): number {
    const { batchSize, optimizer } = this.manifest
    const { rows, weight, corrections, uniforms, normals } = this.perStep
    const batch = order.subarray(first, first + batchSize)
    const start = index * batchSize
    rows.fill(batch[0] ?? 0, start, start + batchSize).set(batch, start)
    weight.fill(1, start, start + batch.length).fill(0, start + batch.length, start + batchSize)
    const { first: one, second } = correctionsAt(optimizer, this.steps + index + 1)
    corrections.first[index] = one
    corrections.second[index] = second
    for (const { data, size } of uniforms) {
      this.dropout.fillUniform(data.subarray(index * size, (index + 1) * size))
    }
    for (const { data, size } of normals) {
      this.noise.fillNormal(data.subarray(index * size, (index + 1) * size))
    }
    return batch.length
  }

  private sharedFeeds(): Tensors {
    const { manifest, request, perStep } = this
    const { samples } = request
    const { stepsPerCall, batchSize } = manifest
    const feeds: Tensors = {
      ...constantTensors(manifest, request.constants),
      [manifest.input.name]: tensor(samples.x, [samples.count, ...manifest.input.shape.slice(1)]),
      [manifest.label.name]: tensor(samples.y, [samples.count, ...manifest.label.shape.slice(1)]),
      [manifest.rows]: tensor(perStep.rows, [stepsPerCall, batchSize]),
      [manifest.sampleWeight]: tensor(perStep.weight, [stepsPerCall, batchSize]),
    }
    if (manifest.learningRate !== undefined) {
      const rates = perStep.learningRate.fill(request.learningRate)
      feeds[manifest.learningRate] = tensor(rates, [stepsPerCall])
    }
    if (manifest.steps !== undefined) feeds[manifest.steps] = tensor(perStep.steps, [])
    if (manifest.corrections) {
      feeds[manifest.corrections.first] = tensor(perStep.corrections.first, [stepsPerCall])
      feeds[manifest.corrections.second] = tensor(perStep.corrections.second, [stepsPerCall])
    }
    for (const { name, shape, data } of [...perStep.uniforms, ...perStep.normals])
      feeds[name] = tensor(data, [stepsPerCall, ...shape])
    return feeds
  }
}

/** What differs from step to step: a part for each step of a call. */
interface PerStep {
  steps: BigInt64Array
  rows: Int32Array
  weight: Float32Array
  learningRate: Float32Array
  corrections: { first: Float32Array; second: Float32Array }
  uniforms: RandomNumbers[]
  normals: RandomNumbers[]
}

interface RandomNumbers {
  name: string
  shape: readonly number[]
  /** Elements a step. */
  size: number
  data: Float32Array
}

function newPerStep({ stepsPerCall, batchSize, uniforms, normals }: TrainingManifest): PerStep {
  const numbers = (size: number): Float32Array => new Float32Array(stepsPerCall * size)
  const random = ({ name, shape }: TrainingManifest['normals'][number]): RandomNumbers => {
    const size = elementCount(shape)
    return { name, shape, size, data: numbers(size) }
  }
  return {
    steps: BigInt64Array.of(1n),
    rows: new Int32Array(stepsPerCall * batchSize),
    weight: numbers(batchSize),
    learningRate: numbers(1),
    corrections: { first: numbers(1), second: numbers(1) },
    uniforms: uniforms.map(random),
    normals: normals.map(random),
  }
}
