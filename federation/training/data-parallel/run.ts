/*
 * A training whose batches are divided among threads. The gradient of a batch is the mean of its rows', so that of the shards'
 * gradients, each weighted by its part of the rows, is the batch's, to the accuracy of float32; the optimiser's step adds them
 * up in its pass over memory. The order is fixed: the same number of shards gives the same bits.
 */
import { checkConstants } from '../constants.ts'
import { TrainingDiverged } from '../errors.ts'
import { hostStep, type HostStep } from '../host-step.ts'
import { TrainingMemory } from '../memory.ts'
import type { TrainingManifest } from '../manifest.ts'
import { Random } from '../random.ts'
import type { TrainRequest } from '../requests.ts'
import { fillBatch } from '../samples.ts'
import { checkFinite, DROPOUT_STREAM, noiseSeedOf, type Run, type Step } from '../run.ts'
import type { Host } from '../training-state.ts'
import type { Crew } from './crew.ts'
import { rowsOfShards } from './shares.ts'

export class DataParallelRun implements Run {
  steps = 0
  private readonly manifest: TrainingManifest
  private readonly request: TrainRequest
  private readonly crew: Crew
  private readonly host: Host
  private readonly dropout: Random
  private readonly optimizer: HostStep
  private readonly parameters: Float32Array
  private readonly vectors: readonly Float32Array[]
  private readonly result: Float32Array<ArrayBuffer>

  constructor(manifest: TrainingManifest, crew: Crew, request: TrainRequest, host: Host) {
    checkConstants(manifest, request.constants ?? {})
    noiseSeedOf(request, manifest)
    this.manifest = manifest
    this.request = request
    this.crew = crew
    this.host = host
    this.dropout = new Random(request.seed, DROPOUT_STREAM)
    this.optimizer = hostStep(manifest.optimizer, manifest.shards)
    const [first] = crew.memories
    if (!first) throw new Error('unreachable: there is at least one shard')
    this.parameters = first.parameters
    this.parameters.set(request.parameters)
    for (const [role, vector] of Object.entries(first.constants)) {
      vector.set(request.constants?.[role as keyof typeof first.constants] ?? [])
    }
    const { memory = new TrainingMemory() } = request
    memory.begin()
    this.result = memory.take(manifest.parameterCount)
    this.vectors = [
      this.parameters,
      ...crew.memories.map(({ gradients }) => gradients),
      ...this.optimizer.state.map((initial) => memory.take(manifest.parameterCount).fill(initial)),
    ]
  }

  /** Takes one step, over `order[first…]`. */
  async call(order: Uint32Array, first: number): Promise<Step[]> {
    this.request.signal?.throwIfAborted()
    const { batchSize, shards } = this.manifest
    const rows = Math.min(batchSize, order.length - first)
    const shares = this.fill(order.subarray(first, first + rows), rowsOfShards(rows, shards))
    const losses = await this.crew.run(shares.filter((share) => share > 0).length)
    this.steps += 1
    const loss = losses.reduce((sum, each, index) => sum + each * (shares[index] ?? 0), 0)
    if (!Number.isFinite(loss)) throw new TrainingDiverged(this.steps, `the loss is ${loss}`)
    const { program, scalars } = this.optimizer
    const values = scalars(this.request.learningRate, this.steps, shares)
    this.host.kernels.runElementwise(program, values, this.vectors, this.host.threads)
    return [{ rows, loss }]
  }

  finish(): Float32Array<ArrayBuffer> {
    this.result.set(this.parameters)
    checkFinite(this.manifest, this.result, this.steps)
    return this.result
  }

  /** Fills in each shard's part of the batch; returns what parts of its rows they are. */
  private fill(batch: Uint32Array, rows: readonly number[]): number[] {
    const { samples } = this.request
    let from = 0
    return rows.map((count, index) => {
      const memory = this.crew.memories[index]
      if (!memory) throw new Error('unreachable: each shard has its memory')
      if (count === 0) {
        // What an earlier step left here is not read: its share is 0, unless it is not finite.
        memory.gradients.fill(0)
        return 0
      }
      fillBatch(memory.batch, samples, batch.subarray(from, from + count), 0)
      for (const numbers of memory.uniforms) this.dropout.fillUniform(numbers)
      from += count
      return count / batch.length
    })
  }
}
