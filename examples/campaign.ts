/*
 * Trains the arms of the comparison with the product's own engine and the settings of an example's manifest:
 * every arm sees its samples for the same number of rounds and epochs, and only the samples differ.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { parse } from 'yaml'

import { DeviceProfileSpec } from '#crds/device-profile.ts'
import { FederatedRoundSpec } from '#crds/federated-round.ts'
import { splitSamples, toSamples } from '#edge-agent/train/dataset.ts'
import { readTable } from '#edge-agent/train/csv.ts'
import { roundSeed } from '#edge-agent/train/seed.ts'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import { inMemory, zeros } from '#federation/aggregation/reader.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import {
  type CompiledModel,
  compileTraining,
  LocalTrainer,
  publishModel,
  readModel,
  type Samples,
} from '#federation/training/index.ts'
import { HoldoutSplit } from '#federation/wire/generated/tributary.ts'

import type { PreparedData } from './prepared.ts'

export interface Campaign {
  readonly spec: FederatedRoundSpec
  readonly model: Uint8Array
  readonly compiled: CompiledModel
  readonly trainer: LocalTrainer
  readonly labelColumns: readonly string[]
}

/** One way to train: each part is what one place has; the parts' parameters are averaged after each round. */
export interface Arm {
  readonly name: string
  readonly parts: ReadonlyMap<string, Samples>
}

export interface ArmResult {
  readonly name: string
  /** Accuracy on the common test set after each round. */
  readonly accuracies: number[]
  readonly parameters: Float32Array
}

const TABLE_LIMITS = { maximumBytes: 64 * 1024 * 1024, maximumRows: 1_000_000 }
const EVALUATION_BATCH = 200

export async function openCampaign(example: string): Promise<Campaign> {
  const folder = join(import.meta.dirname, example)
  const spec = FederatedRoundSpec.parse(readSpec(join(folder, 'manifests/federated-round.yaml')))
  const profile = DeviceProfileSpec.parse(readSpec(join(folder, 'manifests/device-profile.yaml')))
  const dataset = profile.datasets.find(({ name }) => name === spec.dataset)
  if (!dataset) throw new Error(`${example}: the device profile has no data set ${spec.dataset}`)
  const { loss, optimizer, batchSize } = spec.training
  if (loss.type !== 'SoftmaxCrossEntropy' || optimizer.type !== 'SGD') {
    throw new Error(
      `${example}: expected SoftmaxCrossEntropy and SGD, the manifest has ${loss.type}, ${optimizer.type}`,
    )
  }
  const model = readFileSync(join(folder, 'model.onnx'))
  const compiled = await compileTraining(readModel(model), {
    loss: { type: loss.type },
    optimizer: { type: optimizer.type, ...optimizer.sgd },
    batchSize,
    evaluationBatchSize: EVALUATION_BATCH,
  })
  const trainer = await LocalTrainer.load(compiled)
  return { spec, model, compiled, trainer, labelColumns: dataset.labelColumns }
}

export async function readSamples(campaign: Campaign, path: string): Promise<Samples> {
  return toSamples(await readTable(path, campaign.labelColumns, TABLE_LIMITS), campaign.compiled.manifest)
}

/** Every node alone, all in one place, federated; what the manifest holds out is held out from all of them. */
export async function armsOf(campaign: Campaign, data: PreparedData, seed: number): Promise<Arm[]> {
  const { holdoutFraction: fraction, split } = campaign.spec.evaluation
  const kind = split === 'Tail' ? HoldoutSplit.TAIL : HoldoutSplit.RANDOM
  const parts = new Map<string, Samples>()
  for (const [node, { path }] of data.nodes) {
    const samples = await readSamples(campaign, path)
    parts.set(node, splitSamples(samples, { fraction, kind, seed }, path).training)
  }
  const alone = [...parts].map(([node, samples]) => ({ name: node, parts: new Map([[node, samples]]) }))
  const pooled = new Map([['pooled', concatenate([...parts.values()])]])
  return [...alone, { name: 'pooled', parts: pooled }, { name: 'federated', parts }]
}

export async function runArm(campaign: Campaign, arm: Arm, test: Samples, seed: number): Promise<ArmResult> {
  const { initialParameters } = campaign.compiled
  let parameters: Float32Array = new Float32Array(Uint8Array.from(initialParameters).buffer)
  const accuracies: number[] = []
  for (let round = 1; round <= campaign.spec.rounds; round++) {
    parameters = await runRound(campaign, arm, { parameters, round, seed })
    const { metrics } = await campaign.trainer.evaluate({ parameters, samples: test })
    accuracies.push(metrics.accuracy ?? NaN)
  }
  return { name: arm.name, accuracies, parameters }
}

interface Round {
  readonly parameters: Float32Array
  readonly round: number
  readonly seed: number
}

async function runRound(
  campaign: Campaign,
  arm: Arm,
  { parameters, round, seed }: Round,
): Promise<Float32Array> {
  const { epochs, optimizer } = campaign.spec.training
  const updates: { participant: string; samples: number; parameters: Float32Array }[] = []
  for (const [participant, samples] of arm.parts) {
    const request = { parameters, samples, epochs, learningRate: optimizer.learningRate }
    const result = await campaign.trainer.trainEpochs({
      ...request,
      seed: roundSeed(seed, round, participant),
    })
    updates.push({ participant, samples: result.samples, parameters: result.parameters })
  }
  const merged = new Float32Array(parameters.length)
  let filled = 0
  await mergeUpdates({
    strategy: strategyOf({ type: 'FedAvg' }),
    updates: updates.map((update) => ({ ...update, open: inMemory(update.parameters) })),
    // Whole parameter vectors are differences to zeros.
    base: zeros(parameters.length),
    parameterCount: parameters.length,
    trainableCount: parameters.length,
    context: { round, participants: updates.length, learningRate: optimizer.learningRate },
    write: async ({ buffer, byteOffset, byteLength }) => {
      const values = new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT)
      merged.set(values, filled)
      filled += values.length
      await Promise.resolve()
    },
  })
  return merged
}

/** The trained model as anybody's ONNX file. */
export function asModel(campaign: Campaign, parameters: Float32Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = parameters
  return publishModel(
    campaign.model,
    campaign.compiled.manifest,
    new Uint8Array(buffer, byteOffset, byteLength),
  )
}

function concatenate(parts: readonly Samples[]): Samples {
  const x = new Float32Array(parts.reduce((sum, part) => sum + part.x.length, 0))
  let filled = 0
  for (const part of parts) {
    x.set(part.x, filled)
    filled += part.x.length
  }
  const y = Int32Array.from(parts.flatMap((part) => [...part.y]))
  return { x, y, count: y.length }
}

function readSpec(path: string): unknown {
  const document: unknown = parse(readFileSync(path, 'utf8'))
  if (typeof document === 'object' && document !== null && 'spec' in document) return document.spec
  throw new Error(`${path}: expected a Kubernetes object with a spec`)
}
