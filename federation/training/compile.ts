/*
 * Compiles a model into two graphs of standard ONNX operators: a training step (forward, loss, backward,
 * optimiser) and an evaluation. Both have fixed sizes. The result depends on the model and the configuration
 * alone: compiling twice gives the same bytes.
 */
import {
  readConfiguration,
  type TrainingConfiguration,
  type TrainingConfigurationInput,
} from './configuration.ts'
import { shardsFor } from './data-parallel/shares.ts'
import { discover, type Discovered } from './discover.ts'
import { emitForward } from './emit.ts'
import type { Graph, ValueInfo } from './graph.ts'
import { withLogits } from './head.ts'
import { metricsFor, type SampleMetric } from './losses.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import { arenaBytes, heldElements, trainingBytes } from './memory-estimate.ts'
import { doesNotFit, type MemoryPlan, plansFor, UNLIMITED } from './memory-plan.ts'
import type { Model } from './model.ts'
import type { ModelParameter } from './parameters.ts'
import { prepare, type Prepared } from './prepare.ts'
import { prune } from './prune.ts'
import { type CompileReport, reportOf } from './report.ts'
import { addLoss } from './step.ts'
import { type CompiledStep, compileStep } from './training-step.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

export interface CompiledModel {
  /** An ONNX file: one training step. */
  trainingStep: Uint8Array
  /** An ONNX file: sums of loss and metrics over a batch. */
  evaluation: Uint8Array
  manifest: TrainingManifest
  /** The model's own parameters: float32 little-endian, in manifest order. */
  initialParameters: Uint8Array
  report: CompileReport
}

/** Throws a ModelError that names every operator that cannot be trained. Looks at the graph only, runs nothing. */
export function assertTrainable(model: Model): void {
  prepare(model)
}

export async function compileTraining(
  model: Model,
  configuration: TrainingConfigurationInput,
): Promise<CompiledModel> {
  const settings = readConfiguration(configuration)
  const whole = prepare(model, settings.frozen)
  const discovered = await discover(whole, settings.batchSize)
  const prepared = withLogits(whole, settings.loss, discovered.shapes)
  const subject = { whole, prepared, discovered, settings }
  const asAWhole = await compileWithin(settings.memoryLimitBytes, subject)
  const graphs = (await compileInShards(subject, asAWhole)) ?? { ...asAWhole, shards: 1 }
  const { training, evaluation, memory, shards } = graphs
  const counts = prepared.parameters.map(({ value }) => elementCount(value.shape))
  const manifest: TrainingManifest = {
    version: 1,
    loss: settings.loss,
    optimizer: settings.optimizer,
    objective: settings.objective,
    ...(settings.privacy && { privacy: settings.privacy }),
    metrics: metricsFor(settings.loss),
    batchSize: settings.batchSize,
    threads: settings.threads,
    shards,
    evaluationBatchSize: evaluation.batchSize,
    ...training.interface,
    parameterCount: sum(counts),
    trainableCount: sum(counts.filter((_, index) => prepared.parameters[index]?.trainable)),
    evaluation: evaluation.outputs,
  }
  return {
    trainingStep: training.bytes,
    evaluation: evaluation.bytes,
    manifest,
    initialParameters: flatParameters(prepared.parameters),
    report: reportOf({
      model,
      prepared,
      shapes: discovered.shapes,
      frozen: settings.frozen ?? [],
      manifest,
      trainingStep: training,
      evaluation,
      memory,
      memoryLimit: settings.memoryLimitBytes,
    }),
  }
}

interface Subject {
  /** With the ending that the loss takes off; what `discover` takes. */
  whole: Prepared
  prepared: Prepared
  discovered: Discovered
  settings: TrainingConfiguration
}

interface Graphs {
  training: CompiledStep
  evaluation: CompiledEvaluation
  /** Bytes, estimated. */
  memory: number
}

/** By the first plan that the limit allows. */
async function compileWithin(limit: number | undefined, subject: Subject): Promise<Graphs> {
  const { prepared, settings } = subject
  const asItIs = await compileBy(UNLIMITED, subject, await evaluationFor(subject, settings.batchSize))
  if (!asItIs) throw new Error('unreachable: the plan without a limit cuts nothing')
  if (limit === undefined || asItIs.memory <= limit) return asItIs
  const evaluation = await smallEvaluation(limit, asItIs.evaluation, subject)
  const nature = {
    batchSize: settings.batchSize,
    mixesRows: mixesRows(prepared),
    isPrivate: settings.privacy !== undefined,
  }
  let smallest = asItIs
  for (const plan of [UNLIMITED, ...plansFor(nature)]) {
    const graphs = await compileBy(plan, subject, evaluation)
    if (graphs && graphs.memory <= limit) return graphs
    if (graphs && graphs.memory < smallest.memory) smallest = graphs
  }
  throw doesNotFit(limit, { bytes: smallest.memory, plan: smallest.training.plan }, nature)
}

async function compileBy(
  plan: MemoryPlan,
  { prepared, discovered, settings }: Subject,
  evaluation: CompiledEvaluation,
  shards = 1,
): Promise<Graphs | undefined> {
  const training = await compileStep(prepared, discovered, settings, plan)
  if (!training) return undefined
  const memory = trainingBytes({
    held: heldElements(settings.optimizer, training.interface, shards),
    files: shards * training.bytes.length + evaluation.bytes.length,
    arenas: shards * training.arenaBytes + evaluation.arenaBytes,
    shards,
  })
  return { training, evaluation, memory }
}

/** For threads that share out each batch; nothing where they should not, or where it takes more memory than there may be. */
async function compileInShards(
  { whole, prepared, settings }: Subject,
  asAWhole: Graphs,
): Promise<(Graphs & { shards: number }) | undefined> {
  const { microseconds } = asAWhole.training
  const parameters = sum(prepared.parameters.map(({ value }) => elementCount(value.shape)))
  const shards = shardsFor(settings, { mixesRows: mixesRows(prepared), microseconds, parameters })
  if (shards === 1) return undefined
  const batchSize = Math.ceil(settings.batchSize / shards)
  const discovered = await discover(whole, batchSize)
  const ofShard = {
    whole,
    prepared,
    discovered,
    settings: { ...settings, batchSize, update: 'Host' as const },
  }
  const graphs = await compileBy(UNLIMITED, ofShard, asAWhole.evaluation, shards)
  if (!graphs || graphs.memory > (settings.memoryLimitBytes ?? Infinity)) return undefined
  return { ...graphs, shards }
}

/** Running state, such as BatchNormalization's, is of a batch. */
function mixesRows({ parameters }: Prepared): boolean {
  return parameters.some(({ trainable }) => !trainable)
}

/** How much of a limit an evaluation may have when its batch is not given. */
const EVALUATION_SHARE = 0.1

/** Evaluation is the same in batches of any size: they are halved until it takes little of the limit. */
async function smallEvaluation(
  limit: number,
  asItIs: CompiledEvaluation,
  subject: Subject,
): Promise<CompiledEvaluation> {
  let found = asItIs
  if (subject.settings.evaluationBatchSize !== undefined) return found
  while (found.arenaBytes > EVALUATION_SHARE * limit && found.batchSize > 1) {
    found = await evaluationFor(subject, Math.ceil(found.batchSize / 2))
  }
  return found
}

async function evaluationFor(
  { whole, prepared, discovered, settings }: Subject,
  otherwise: number,
): Promise<CompiledEvaluation> {
  const batchSize = settings.evaluationBatchSize ?? otherwise
  const found = batchSize === settings.batchSize ? discovered : await discover(whole, batchSize)
  const evaluation = compileEvaluation(prepared, found, settings)
  return { ...evaluation, batchSize, arenaBytes: await arenaBytes(evaluation.graph, batchSize) }
}

type SumOutputs = TrainingManifest['evaluation']

interface CompiledEvaluation {
  graph: Graph
  bytes: Uint8Array
  outputs: SumOutputs
  batchSize: number
  arenaBytes: number
}

function compileEvaluation(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
): Pick<CompiledEvaluation, 'graph' | 'bytes' | 'outputs'> {
  const forward = emitForward(prepared, discovered, 'evaluation')
  const { builder, sampleWeight } = forward
  const { loss } = addLoss(prepared, forward, settings)
  const weightedSum = (perSample: string, base: string): string => {
    const weighted = builder.add('Mul', [perSample, sampleWeight])
    return builder.add('ReduceSum', [weighted], { keepdims: { kind: 'int', value: 0 } }, base)
  }
  const outputs: SumOutputs = {
    loss: weightedSum(loss.perSample, 'loss_sum'),
    weight: builder.sumAll(sampleWeight),
  }
  for (const [metric, perSample] of Object.entries(loss.metrics())) {
    outputs[metric as SampleMetric] = weightedSum(perSample, `${metric}_sum`)
  }
  const names = Object.values(outputs).filter((name) => name !== undefined)
  const graph = prune(builder, names.map(scalarOutput))
  return { graph, bytes: writeModel(graph, 'evaluation', COMPILED_OPSET), outputs }
}

function scalarOutput(name: string): ValueInfo {
  return { name, type: 'float32', shape: [] }
}

function flatParameters(parameters: readonly ModelParameter[]): Uint8Array {
  const values = parameters.flatMap(({ value }) => (value.data instanceof Float32Array ? [value.data] : []))
  const flat = new Float32Array(sum(values.map(({ length }) => length)))
  let offset = 0
  for (const value of values) {
    flat.set(value, offset)
    offset += value.length
  }
  return new Uint8Array(flat.buffer)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
