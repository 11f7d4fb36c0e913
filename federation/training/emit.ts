/*
 * The forward pass of a compiled graph, for training or for evaluation, with a record of how gradients flow
 * back through it.
 */
import { GraphBuilder, type Shape } from './builder.ts'
import type { Discovered } from './discover.ts'
import type { ElementType, Node } from './graph.ts'
import { emitInputs } from './inputs.ts'
import type { TrainingManifest } from './manifest.ts'
import { OPERATORS } from './operators/index.ts'
import type { Backward, Emitter } from './operators/operator.ts'
import { namesOf } from './parameters.ts'
import { lastSteps } from './passes/last-step.ts'
import { reluAfterPooling } from './passes/relu-after-pooling.ts'
import type { Prepared } from './prepare.ts'

export interface Forward {
  builder: GraphBuilder
  mode: Emitter['mode']
  batchSize: number
  /** The graph input that takes samples. */
  input: TrainingManifest['input']
  /** The graph input [batch] of sample weights. */
  sampleWeight: string
  steps: { node: Node; backward: Backward }[]
  /** Element types of the values of the user's graph. */
  types: ReadonlyMap<string, ElementType>
  /** State parameters → their new values. */
  newState: Map<string, string>
  uniforms: { name: string; shape: Shape }[]
}

export function emitForward(prepared: Prepared, discovered: Discovered, mode: Emitter['mode']): Forward {
  const { model, inputs, parameters } = prepared
  const pooled = reluAfterPooling(prepared.nodes, discovered.shapes, prepared.output)
  const builder = new GraphBuilder([...namesOf(model), ...parameters.map(({ name }) => name)])
  const { nodes, shapes } = lastSteps(pooled.nodes, discovered, (base) => builder.fresh(base))
  for (const [name, shape] of [...pooled.shapes, ...shapes]) builder.setShape(name, shape)
  const input = emitInputs(builder, inputs, nodes)
  const batchSize = input.shape[0] ?? 1
  const sampleWeight = builder.input('sample_weight', [batchSize])
  for (const { name, value } of parameters) {
    builder.declareInput({ name, type: 'float32', shape: [...value.shape] })
  }
  for (const [name, value] of discovered.constants) builder.initializers.set(name, value)

  const forward: Forward = {
    builder,
    mode,
    batchSize,
    input,
    sampleWeight,
    steps: [],
    types: new Map([...discovered.types, ...[...shapes.keys()].map((name) => [name, 'float32'] as const)]),
    newState: new Map(),
    uniforms: [],
  }
  const emitter = emitterFor(prepared, discovered, forward)
  for (const node of nodes) {
    const operator = OPERATORS.get(node.op)
    if (!operator) throw new Error(`unreachable: ${node.op} was refused before`)
    forward.steps.push({ node, backward: operator.emit(node, emitter) })
  }
  return forward
}

function emitterFor(prepared: Prepared, discovered: Discovered, forward: Forward): Emitter {
  const { builder, mode, batchSize, sampleWeight } = forward
  const states = new Set(prepared.parameters.filter(({ trainable }) => !trainable).map(({ name }) => name))
  let mask: string | undefined
  return {
    builder,
    mode,
    batchSize,
    shape: (name) => builder.shape(name),
    type: (name) => typeOf(discovered, name),
    constant: (name) => discovered.constants.get(name),
    isState: (name) => states.has(name),
    updateState: (name, value) => forward.newState.set(name, value),
    rowMask: () => {
      mask ??= builder.cast(builder.add('Greater', [sampleWeight, builder.scalar(0)]), 'float32')
      return mask
    },
    uniform: (shape) => {
      const name = builder.input('uniform', shape)
      forward.uniforms.push({ name, shape })
      return name
    },
  }
}

function typeOf({ types }: Discovered, name: string): ElementType {
  const type = types.get(name)
  if (!type) throw new Error(`unreachable: the type of ${name} is not known`)
  return type
}
