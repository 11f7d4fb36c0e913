/*
 * What compiling did to a model, for people and for machines: which operators went in and came out, what learns, and
 * what a step needs. Plain JSON. Estimates are of the model's own values, not of what the runtime adds.
 */
import type { Shape } from './builder.ts'
import { type Graph, intOf, type Node } from './graph.ts'
import { hostStep } from './host-step.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import type { Model } from './model.ts'
import { matchesPattern } from './parameters.ts'
import type { Prepared } from './prepare.ts'
import type { CompiledStep } from './training-step.ts'

export interface OperatorCount {
  operator: string
  /** Nodes in the user's model, in the training step and in the evaluation; those in bodies of loops count once. */
  model: number
  trainingStep: number
  evaluation: number
}

/** trained: learns by gradient. state: changes without one. frozen: named by `frozen`, does not travel. */
export type ParameterKind = 'trained' | 'state' | 'frozen'

export interface ReportedParameter {
  name: string
  shape: number[]
  kind: ParameterKind
}

export interface CompileReport {
  batchSize: number
  evaluationBatchSize: number
  /** Processor threads, and the shards of a batch that they compute at the same time; 1: they share out the operators. */
  threads: number
  shards: number
  /** Steps that the training step's graph takes in one call at most. */
  stepsPerCall: number
  /** Who takes the optimiser's step. */
  update: TrainingManifest['update']
  operators: OperatorCount[]
  nodes: {
    model: number
    /** Of these, left out: the output does not depend on them, or they were computed once, at compile time. */
    folded: number
    trainingStep: number
    /** Nodes of the step, beside these, that depend on constants alone and were computed at compile time. */
    foldedInStep: number
    evaluation: number
  }
  parameters: ReportedParameter[]
  /** Elements of float32. */
  elements: Record<ParameterKind, number> & {
    optimizerState: number
    /** Vectors of the local objective. */
    constants: number
  }
  /**
   * Bytes of what a step holds: parameters and optimiser state before and after (where the host updates: parameters and
   * gradients, and the state once), and the model's values. `peak` is an estimate from above of what training and
   * evaluating add to a process, beside the samples (memory-estimate.ts).
   */
  memory: { parameters: number; optimizerState: number; values: number; peak: number }
  /** How the step stays under the configuration's memory limit. */
  plan: {
    memoryLimitBytes?: number
    /** Parts that a batch is trained in. */
    microBatches: number
    /** Segments of the forward pass, and the nodes in them that run again in the backward pass. */
    segments: number
    recomputedNodes: number
  }
  /** Of matrix products and convolutions in the forward pass; a training step has about three times as many. */
  multiplyAddsPerSample: number
  /** Bytes of the ONNX files. */
  files: { trainingStep: number; evaluation: number }
}

export interface Compilation {
  model: Model
  prepared: Prepared
  shapes: ReadonlyMap<string, Shape>
  frozen: readonly string[]
  manifest: TrainingManifest
  trainingStep: Pick<CompiledStep, 'graph' | 'bytes' | 'plan' | 'recomputedNodes' | 'foldedNodes'>
  evaluation: { graph: Graph; bytes: Uint8Array }
  /** Bytes, estimated. */
  memory: number
  memoryLimit: number | undefined
}

export function reportOf(compilation: Compilation): CompileReport {
  const { model, prepared, manifest, trainingStep, evaluation } = compilation
  const parameters = [...travelling(manifest), ...frozenParameters(compilation)]
  const elements = elementsOf(parameters, manifest)
  return {
    batchSize: manifest.batchSize,
    evaluationBatchSize: manifest.evaluationBatchSize,
    threads: manifest.threads,
    shards: manifest.shards,
    stepsPerCall: manifest.stepsPerCall,
    update: manifest.update,
    operators: operatorCounts(model, trainingStep.graph, evaluation.graph),
    nodes: {
      model: model.nodes.length,
      folded: model.nodes.length - prepared.nodes.length,
      trainingStep: allNodes(trainingStep.graph).length,
      foldedInStep: trainingStep.foldedNodes,
      evaluation: allNodes(evaluation.graph).length,
    },
    parameters,
    elements,
    memory: memoryOf(compilation, elements),
    plan: {
      ...(compilation.memoryLimit !== undefined && { memoryLimitBytes: compilation.memoryLimit }),
      microBatches: trainingStep.plan.microBatches,
      segments: trainingStep.plan.segments,
      recomputedNodes: trainingStep.recomputedNodes,
    },
    multiplyAddsPerSample:
      sum(prepared.nodes.map((node) => products(node, compilation))) / manifest.batchSize,
    files: { trainingStep: trainingStep.bytes.length, evaluation: evaluation.bytes.length },
  }
}

const FLOAT_BYTES = 4

function memoryOf(compilation: Compilation, elements: CompileReport['elements']): CompileReport['memory'] {
  const { manifest, prepared, memory } = compilation
  return {
    parameters: 2 * FLOAT_BYTES * manifest.parameterCount,
    optimizerState: (manifest.update === 'Host' ? 1 : 2) * FLOAT_BYTES * elements.optimizerState,
    values: FLOAT_BYTES * sum(prepared.nodes.map((node) => countOf(compilation, node.outputs[0]))),
    peak: memory,
  }
}

function travelling({ parameters }: TrainingManifest): ReportedParameter[] {
  return parameters.map(({ name, shape, trainable }) => ({
    name,
    shape,
    kind: trainable ? 'trained' : 'state',
  }))
}

function frozenParameters({ model, frozen }: Compilation): ReportedParameter[] {
  return [...model.initializers]
    .filter(
      ([name, { type }]) => type === 'float32' && frozen.some((pattern) => matchesPattern(name, pattern)),
    )
    .map(([name, { shape }]) => ({ name, shape: [...shape], kind: 'frozen' }))
}

function elementsOf(
  parameters: readonly ReportedParameter[],
  { update, optimizer, trainableCount, state, constants }: TrainingManifest,
): CompileReport['elements'] {
  const total = (entries: readonly { shape: Shape }[]): number =>
    sum(entries.map(({ shape }) => elementCount(shape)))
  const ofKind = (kind: ParameterKind): number => total(parameters.filter((entry) => entry.kind === kind))
  return {
    trained: ofKind('trained'),
    state: ofKind('state'),
    frozen: ofKind('frozen'),
    optimizerState: update === 'Host' ? hostStep(optimizer).state.length * trainableCount : total(state),
    constants: total(constants),
  }
}

function operatorCounts(model: Graph, trainingStep: Graph, evaluation: Graph): OperatorCount[] {
  const counts = {
    model: countsOf(model),
    trainingStep: countsOf(trainingStep),
    evaluation: countsOf(evaluation),
  }
  const operators = new Set(Object.values(counts).flatMap((of) => [...of.keys()]))
  return [...operators].sort().map((operator) => ({
    operator,
    model: counts.model.get(operator) ?? 0,
    trainingStep: counts.trainingStep.get(operator) ?? 0,
    evaluation: counts.evaluation.get(operator) ?? 0,
  }))
}

/** Operators and how often they occur. */
export function countsOf(graph: Graph): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { op } of allNodes(graph)) counts.set(op, (counts.get(op) ?? 0) + 1)
  return counts
}

function allNodes(graph: Graph): Node[] {
  return graph.nodes.flatMap((node) => [
    node,
    ...Object.values(node.attributes).flatMap((attribute) =>
      attribute.kind === 'graph' ? allNodes(attribute.value) : [],
    ),
  ])
}

/** Multiplications, each with its addition. */
function products(node: Node, compilation: Compilation): number {
  const made = countOf(compilation, node.outputs[0])
  const shapeOf = (index: number): Shape => compilation.shapes.get(node.inputs[index] ?? '') ?? []
  switch (node.op) {
    case 'Gemm':
      return made * (shapeOf(0)[intOf(node, 'transA', 0) === 1 ? 0 : 1] ?? 1)
    case 'MatMul':
      return made * (shapeOf(0).at(-1) ?? 1)
    case 'Conv':
      return made * elementCount(shapeOf(1).slice(1))
    case 'ConvTranspose':
      return elementCount(shapeOf(0)) * elementCount(shapeOf(1).slice(1))
    default:
      return 0
  }
}

function countOf({ shapes }: Compilation, name = ''): number {
  const shape = shapes.get(name)
  return shape ? elementCount(shape) : 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
