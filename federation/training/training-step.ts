/*
 * Compiles the training step by a plan: gradients, local objective, clipping and optimiser as one graph, refined by the
 * passes, in the form in which it is run.
 */
import { emitClipping } from './clipping.ts'
import type { TrainingConfiguration } from './configuration.ts'
import { stepMicroseconds, stepsPerCall } from './cost.ts'
import type { Discovered } from './discover.ts'
import { gradientOf } from './gradient.ts'
import type { Graph, ValueInfo } from './graph.ts'
import { imagesIn, inferShapes } from './infer.ts'
import { elementCount, type Parameter, type TrainingManifest } from './manifest.ts'
import { arenaBytes } from './memory-estimate.ts'
import type { MemoryPlan } from './memory-plan.ts'
import { emitObjective } from './objectives/index.ts'
import { emitGradientOutputs, emitOptimizer, type Update } from './optimizers/index.ts'
import type { ModelParameter } from './parameters.ts'
import { folded } from './passes/folding.ts'
import { optimized } from './passes/index.ts'
import { resultsInOrder } from './passes/order.ts'
import { type Recomputation, recomputed } from './passes/recomputation.ts'
import type { Prepared } from './prepare.ts'
import { prune } from './prune.ts'
import { severalSteps, type StepRoles } from './several-steps.ts'
import { emitGradients, type Gradients } from './step.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

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

export interface CompiledStep {
  graph: Graph
  bytes: Uint8Array
  plan: MemoryPlan
  /** Nodes that run a second time in the backward pass. */
  recomputedNodes: number
  /** Nodes that were computed when it was compiled. */
  foldedNodes: number
  /** What a step costs, estimated. */
  microseconds: number
  /** Most bytes in the runtime's arena. */
  arenaBytes: number
  interface: Interface
}

/** Nothing where the graph cannot be compiled by this plan: it has no place to cut. */
export async function compileStep(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
  plan: MemoryPlan,
): Promise<CompiledStep | undefined> {
  const compiled = async (update: Settings['update']): Promise<CompiledStep | undefined> =>
    await compileStepWith(prepared, discovered, { ...settings, update }, plan)
  const { update, stepsPerCall: wanted } = settings
  const isFixed = update !== undefined || wanted !== undefined
  // Where a call takes one step anyway, the optimiser's part of it is cheaper on the host.
  if (plan.singleStep && !isFixed) return await compiled('Host')
  const inGraph = await compiled(update ?? 'Graph')
  return isFixed || !inGraph || inGraph.interface.stepsPerCall > 1 ? inGraph : await compiled('Host')
}

type Settings = TrainingConfiguration & Pick<TrainingManifest, 'update'>

async function compileStepWith(
  prepared: Prepared,
  discovered: Discovered,
  settings: Settings,
  plan: MemoryPlan,
): Promise<CompiledStep | undefined> {
  const step = await emitGradients(prepared, discovered, settings, plan)
  if (!step) return undefined
  const update = addUpdate(prepared, step, settings)
  const parameters = describeParameters(prepared.parameters, step, update)
  const refined = await refinedGraph(step, [...parameters, ...update.state], plan)
  if (!refined) return undefined
  const { input, label, sampleWeight, uniforms, normals, loss } = step
  const { corrections, learningRate, state, constants } = update
  const roles: StepRoles = {
    samples: [input.name, label.name],
    perStep: [
      sampleWeight,
      ...(learningRate === undefined ? [] : [learningRate]),
      ...(corrections ? [corrections.first, corrections.second] : []),
      ...[...uniforms, ...normals].map(({ name }) => name),
    ],
    carried: [...parameters, ...state],
    loss,
    batchSize: settings.batchSize,
  }
  const count = stepsPerCallOf(refined, roles, { settings, plan })
  const { graph, rows, steps } = severalSteps(refined.graph, roles, count)
  return {
    graph,
    bytes: writeModel(graph, 'training-step', COMPILED_OPSET),
    plan,
    recomputedNodes: refined.nodes,
    foldedNodes: refined.folded,
    microseconds: stepMicroseconds(refined.graph, refined.shapes),
    arenaBytes: await arenaBytes(graph, settings.batchSize),
    interface: {
      stepsPerCall: count,
      rows,
      ...(steps !== undefined && { steps }),
      update: settings.update,
      input,
      label,
      sampleWeight,
      ...(learningRate !== undefined && { learningRate }),
      ...(corrections && { corrections }),
      uniforms: uniforms.map(({ name, shape }) => ({ name, shape: [...shape] })),
      normals: normals.map(({ name, shape }) => ({ name, shape: [...shape] })),
      parameters,
      state,
      constants,
      training: { loss },
    },
  }
}

interface Refined extends Recomputation {
  folded: number
}

/** The graph of one step after the passes, with its images described. */
async function refinedGraph(
  step: Gradients,
  carried: readonly { output: string; shape: readonly number[] }[],
  { segments, microBatches }: MemoryPlan,
): Promise<Refined | undefined> {
  const { builder, input, label, sampleWeight, uniforms, loss, newState } = step
  const outputs = [floatOutput(loss, []), ...carried.map(({ output, shape }) => floatOutput(output, shape))]
  const emitted = optimized(prune(builder, outputs))
  const graph = await folded(emitted)
  const shapes = await inferShapes(graph)
  const batch = [input, label, { name: sampleWeight }, ...uniforms].map(({ name }) => name)
  const refined =
    segments > 1 && microBatches === 1
      ? recomputed(graph, shapes, { batch, results: [loss, ...newState.values()] }, segments)
      : { graph, shapes, nodes: step.recomputedNodes }
  if (!refined) return undefined
  const ordered = resultsInOrder(refined.graph)
  const folds = emitted.nodes.length - graph.nodes.length
  return { ...refined, graph: { ...ordered, values: imagesIn(ordered, refined.shapes) }, folded: folds }
}

/** As many as a step's cost suggests, where nothing says how many; of private steps, whose cost is in a loop, one. */
function stepsPerCallOf(
  { graph, shapes }: Recomputation,
  { perStep }: StepRoles,
  { settings, plan }: { settings: Settings; plan: MemoryPlan },
): number {
  if (plan.singleStep || settings.update === 'Host') return 1
  if (settings.stepsPerCall !== undefined || settings.privacy) return settings.stepsPerCall ?? 1
  const elements = sum(perStep.map((name) => elementCount(shapes.get(name)?.shape ?? [])))
  return stepsPerCall(stepMicroseconds(graph, shapes), elements)
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

function floatOutput(name: string, shape: readonly number[]): ValueInfo {
  return { name, type: 'float32', shape: [...shape] }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
