/*
 * Compiles a model into two graphs of standard ONNX operators: a training step (forward, loss, backward,
 * optimiser) and an evaluation. Both have fixed sizes. The result depends on the model and the configuration
 * alone: compiling twice gives the same bytes.
 */
import { emitClipping } from './clipping.ts'
import {
  readConfiguration,
  type TrainingConfiguration,
  type TrainingConfigurationInput,
} from './configuration.ts'
import { stepMicroseconds, stepsPerCall } from './cost.ts'
import { discover, type Discovered } from './discover.ts'
import { emitForward } from './emit.ts'
import { gradientOf } from './gradient.ts'
import type { Graph, ValueInfo } from './graph.ts'
import { withLogits } from './head.ts'
import { imagesIn, inferShapes, type Inferred } from './infer.ts'
import { metricsFor, type SampleMetric } from './losses.ts'
import { elementCount, type Parameter, type TrainingManifest } from './manifest.ts'
import type { Model } from './model.ts'
import { emitObjective } from './objectives/index.ts'
import { emitGradientOutputs, emitOptimizer, type Update } from './optimizers/index.ts'
import type { ModelParameter } from './parameters.ts'
import { optimized } from './passes/index.ts'
import { peakBytes } from './peak-memory.ts'
import { prepare, type Prepared } from './prepare.ts'
import { prune } from './prune.ts'
import { addLoss, emitGradients, type Gradients } from './step.ts'
import { severalSteps, type StepRoles } from './several-steps.ts'
import { type CompileReport, reportOf } from './report.ts'
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
  const evaluationBatchSize = settings.evaluationBatchSize ?? settings.batchSize
  const discovered = await discover(whole, settings.batchSize)
  const prepared = withLogits(whole, settings.loss, discovered.shapes)
  const forEvaluation =
    evaluationBatchSize === settings.batchSize ? discovered : await discover(whole, evaluationBatchSize)

  const training = await compileStep(prepared, discovered, settings)
  const evaluation = compileEvaluation(prepared, forEvaluation, settings)
  const counts = prepared.parameters.map(({ value }) => elementCount(value.shape))
  const manifest: TrainingManifest = {
    version: 1,
    loss: settings.loss,
    optimizer: settings.optimizer,
    objective: settings.objective,
    ...(settings.privacy && { privacy: settings.privacy }),
    metrics: metricsFor(settings.loss),
    batchSize: settings.batchSize,
    evaluationBatchSize,
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
    }),
  }
}

type Interface = Pick<
  TrainingManifest,
  | 'update'
  | 'input'
  | 'label'
  | 'stepsPerCall'
  | 'rows'
  | 'steps'
  | 'sampleWeight'
  | 'learningRate'
  | 'corrections'
  | 'uniforms'
  | 'normals'
  | 'parameters'
  | 'state'
  | 'constants'
  | 'training'
>

interface CompiledStep {
  graph: Graph
  bytes: Uint8Array
  /** Most bytes of values at one time; not known with privacy, whose values are in a loop. */
  peakBytes: number | undefined
  interface: Interface
}

/** Where a call takes one step anyway, the optimiser's part of it is cheaper on the host. */
async function compileStep(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
): Promise<CompiledStep> {
  const { update, stepsPerCall: wanted } = settings
  const compiled = await compileStepWith(prepared, discovered, { ...settings, update: update ?? 'Graph' })
  if (update !== undefined || wanted !== undefined || compiled.interface.stepsPerCall > 1) return compiled
  return await compileStepWith(prepared, discovered, { ...settings, update: 'Host' })
}

type Settings = TrainingConfiguration & Pick<TrainingManifest, 'update'>

async function compileStepWith(
  prepared: Prepared,
  discovered: Discovered,
  settings: Settings,
): Promise<CompiledStep> {
  const step = await emitGradients(prepared, discovered, settings)
  const { builder, sampleWeight, label, loss: total, uniforms, normals } = step
  const update = addUpdate(prepared, step, settings)

  const parameters = describeParameters(prepared.parameters, step, update)
  const outputs = [
    scalarOutput(total),
    ...[...parameters, ...update.state].map(({ output, shape }) => floatOutput(output, shape)),
  ]
  const { input } = step
  const { corrections, learningRate } = update
  const graph = optimized(prune(builder, outputs))
  const shapes = settings.privacy ? undefined : await inferShapes(graph)
  const described = shapes ? { ...graph, values: imagesIn(graph, shapes) } : graph
  const published = publish({ graph: described, shapes }, settings, {
    samples: [input.name, label.name],
    perStep: [
      sampleWeight,
      ...(learningRate === undefined ? [] : [learningRate]),
      ...(corrections ? [corrections.first, corrections.second] : []),
      ...[...uniforms, ...normals].map(({ name }) => name),
    ],
    carried: [...parameters, ...update.state],
    loss: total,
    batchSize: settings.batchSize,
  })
  return {
    graph: published.graph,
    bytes: writeModel(published.graph, 'training-step', COMPILED_OPSET),
    peakBytes: shapes && peakBytes(graph, shapes),
    interface: {
      ...published.interface,
      update: settings.update,
      input,
      label,
      sampleWeight,
      ...(learningRate !== undefined && { learningRate }),
      ...(corrections && { corrections }),
      uniforms: uniforms.map(({ name, shape }) => ({ name, shape: [...shape] })),
      normals: normals.map(({ name, shape }) => ({ name, shape: [...shape] })),
      parameters,
      state: update.state,
      constants: update.constants,
      training: { loss: total },
    },
  }
}

/** The graph of a step in the form in which it is run: as many steps a call as its cost suggests. */
function publish(
  { graph: step, shapes }: { graph: Graph; shapes: ReadonlyMap<string, Inferred> | undefined },
  settings: Settings,
  roles: StepRoles,
): { graph: Graph; interface: Pick<Interface, 'stepsPerCall' | 'rows' | 'steps'> } {
  const isLooped = settings.update === 'Graph' && shapes !== undefined
  const count = settings.stepsPerCall ?? (isLooped ? suitableStepsPerCall(step, shapes, roles) : 1)
  const { graph, rows, steps } = severalSteps(step, roles, count)
  return { graph, interface: { stepsPerCall: count, rows, ...(steps !== undefined && { steps }) } }
}

function suitableStepsPerCall(
  step: Graph,
  shapes: ReadonlyMap<string, Inferred>,
  { perStep }: StepRoles,
): number {
  const elements = sum(perStep.map((name) => elementCount(shapes.get(name)?.shape ?? [])))
  return stepsPerCall(stepMicroseconds(step, shapes), elements)
}

function addUpdate(
  { parameters }: Prepared,
  { builder, gradients }: Gradients,
  settings: Settings,
): Partial<Pick<Update, 'learningRate'>> & Omit<Update, 'learningRate'> & Pick<Interface, 'constants'> {
  const learning = parameters
    .filter(({ trainable }) => trainable)
    .map(({ name, value }) => ({ name, shape: value.shape, gradient: gradientOf(gradients, name) }))
  const objective = emitObjective(builder, settings.objective, learning)
  const clipped = emitClipping(builder, settings.gradientClipping, objective.trainable)
  const { constants } = objective
  return settings.update === 'Host'
    ? { parameters: emitGradientOutputs(builder, clipped), state: [], constants }
    : { ...emitOptimizer(builder, settings.optimizer, clipped), constants }
}

function describeParameters(
  parameters: readonly ModelParameter[],
  { newState }: Gradients,
  update: Pick<Update, 'parameters'>,
): Parameter[] {
  let offset = 0
  return parameters.map(({ name, initializer, value, trainable, uses }) => {
    const output = trainable ? update.parameters.get(name) : newState.get(name)
    if (output === undefined) throw new Error(`unreachable: ${name} has no new value`)
    const first = offset
    offset += elementCount(value.shape)
    return {
      name,
      shape: [...value.shape],
      offset: first,
      trainable,
      output,
      initializer,
      ...(uses && { uses }),
    }
  })
}

type SumOutputs = TrainingManifest['evaluation']

function compileEvaluation(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
): { graph: Graph; bytes: Uint8Array; outputs: SumOutputs } {
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
  return floatOutput(name, [])
}

function floatOutput(name: string, shape: readonly number[]): ValueInfo {
  return { name, type: 'float32', shape: [...shape] }
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
