/*
 * The part of a training step that makes gradients: forward pass, loss and backward pass of a batch, or, with privacy,
 * of one example after the other.
 */
import { emitBackward } from './backward.ts'
import type { GraphBuilder, Shape } from './builder.ts'
import type { TrainingConfiguration } from './configuration.ts'
import { discover, type Discovered } from './discover.ts'
import { emitForward, type Forward } from './emit.ts'
import { ModelError } from './errors.ts'
import { int, quoted } from './graph.ts'
import { imagesIn, inferShapes } from './infer.ts'
import { emitLoss, labelFor, type LossGraph } from './losses.ts'
import type { Label, TrainingManifest } from './manifest.ts'
import type { MemoryPlan } from './memory-plan.ts'
import { emitMicroBatches } from './micro-batches.ts'
import { type Recomputation, recomputed } from './passes/recomputation.ts'
import type { Prepared } from './prepare.ts'
import { emitPrivateGradients } from './private-gradients.ts'

export interface Gradients {
  builder: GraphBuilder
  /** The graph input that takes samples. */
  input: TrainingManifest['input']
  /** The graph input [batch] of sample weights. */
  sampleWeight: string
  label: Label
  /** Mean loss of the batch. */
  loss: string
  /** Parameter that learns → its gradient. */
  gradients: ReadonlyMap<string, string>
  /** State parameter → its new value. */
  newState: ReadonlyMap<string, string>
  uniforms: readonly { name: string; shape: Shape }[]
  normals: readonly { name: string; shape: Shape }[]
  /** Nodes that run a second time, in the parts of a batch. */
  recomputedNodes: number
}

export async function emitGradients(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
  plan: MemoryPlan,
): Promise<Gradients | undefined> {
  if (settings.privacy) return await privateGradients(prepared, settings, settings.privacy)
  return plan.microBatches > 1
    ? await microBatchGradients(prepared, settings, plan)
    : batchGradients(prepared, discovered, settings)
}

function batchGradients(
  prepared: Prepared,
  discovered: Discovered,
  settings: TrainingConfiguration,
): Gradients {
  const forward = emitForward(prepared, discovered, 'training')
  const { builder, input, sampleWeight, newState, uniforms } = forward
  const { loss, label } = addLoss(prepared, forward, settings)
  const coefficient = builder.add('Div', [sampleWeight, builder.sumAll(sampleWeight)])
  const weighted = builder.add('Mul', [loss.perSample, coefficient])
  const total = builder.add('ReduceSum', [weighted], { keepdims: int(0) }, 'loss')
  const names = trainableOf(prepared).map(({ name }) => name)
  const seed = new Map([[prepared.output, loss.gradient(coefficient)]])
  const gradients = emitBackward(forward, seed, names)
  return {
    builder,
    input,
    sampleWeight,
    label,
    loss: total,
    gradients,
    newState,
    uniforms,
    normals: [],
    recomputedNodes: 0,
  }
}

async function privateGradients(
  prepared: Prepared,
  settings: TrainingConfiguration,
  privacy: NonNullable<TrainingConfiguration['privacy']>,
): Promise<Gradients> {
  const state = prepared.parameters.find(({ trainable }) => !trainable)
  if (state) {
    throw new ModelError(
      `privacy does not go with BatchNormalization, which mixes the examples of a batch: freeze its running ` +
        `statistics (${quoted(state.name)} and its like), or use another normalisation`,
    )
  }
  const forward = emitForward(prepared, await discover(prepared, 1), 'training')
  const { loss, label } = addLoss(prepared, forward, settings)
  const example = { forward, loss, output: prepared.output, trainable: trainableOf(prepared) }
  const { batchSize } = settings
  const { input, sampleWeight } = forward
  return {
    ...emitPrivateGradients(example, privacy, batchSize),
    input: { ...input, shape: [batchSize, ...input.shape.slice(1)] },
    sampleWeight,
    label: { ...label, shape: [batchSize, ...label.shape.slice(1)] },
    newState: new Map(),
    recomputedNodes: 0,
  }
}

/** Nothing where the parts cannot be cut into as many segments. */
async function microBatchGradients(
  prepared: Prepared,
  settings: TrainingConfiguration,
  { microBatches, segments }: MemoryPlan,
): Promise<Gradients | undefined> {
  const rows = settings.batchSize / microBatches
  const forward = emitForward(prepared, await discover(prepared, rows), 'training')
  const { loss, label } = addLoss(prepared, forward, settings)
  const part = { forward, loss, output: prepared.output, trainable: trainableOf(prepared) }
  const cut: Recomputation[] = []
  const made = await emitMicroBatches(part, microBatches, async (graph, batch, total) => {
    const shapes = await inferShapes(graph)
    const values = { batch, results: [total] }
    const again = segments > 1 ? recomputed(graph, shapes, values, segments) : { graph, shapes, nodes: 0 }
    if (again) cut.push(again)
    return again ? { ...again.graph, values: imagesIn(again.graph, again.shapes) } : graph
  })
  const [refined] = cut
  if (!refined) return undefined
  const { input, sampleWeight } = forward
  return {
    ...made,
    input: { ...input, shape: [settings.batchSize, ...input.shape.slice(1)] },
    sampleWeight,
    label: { ...label, shape: [settings.batchSize, ...label.shape.slice(1)] },
    newState: new Map(),
    normals: [],
    recomputedNodes: refined.nodes,
  }
}

function trainableOf({ parameters }: Prepared): { name: string; shape: Shape }[] {
  return parameters
    .filter(({ trainable }) => trainable)
    .map(({ name, value }) => ({ name, shape: value.shape }))
}

export function addLoss(
  { output }: Prepared,
  { builder }: Forward,
  { loss }: TrainingConfiguration,
): { loss: LossGraph; label: Label } {
  const shape = builder.shape(output)
  const label = labelFor(loss, shape)
  const name = builder.input('label', label.shape, label.type)
  return { loss: emitLoss(loss, { builder, z: output, shape, y: name }), label: { name, ...label } }
}
