/*
 * From a model to what will be compiled: the nodes that matter, split into those that vary with the input or the
 * parameters and those that do not, and the parameters. Everything that cannot be trained is reported at once.
 */
import { ModelError } from './errors.ts'
import { describeNode, type Node, quoted, type ValueInfo } from './graph.ts'
import type { Model } from './model.ts'
import { FOLDABLE_OPERATORS, OPERATORS, SUPPORTED_OPERATORS } from './operators/index.ts'
import { aliasesOf, dataInputs, findParameters, type ModelParameter } from './parameters.ts'

export interface Prepared {
  /** The user's model without the nodes that its output does not depend on. */
  model: Model
  input: ValueInfo
  output: string
  parameters: ModelParameter[]
  /** Nodes to compile, inputs renamed to parameters where these were separated. */
  nodes: Node[]
  /** Values that do not vary and that `nodes` use; their content is known after the discovery run. */
  constants: Set<string>
}

export function prepare(model: Model, frozen: readonly string[] = []): Prepared {
  const input = onlyInput(model)
  const output = onlyOutput(model)
  const live = liveNodes(model, output)
  const parameters = findParameters(model, live, frozen)
  const nodes = varyingNodes(renamed(model, parameters), { live, input, parameters })
  refuseUntrainable(model, live, nodes)
  if (!parameters.some(({ trainable }) => trainable)) {
    throw new ModelError('the model has no parameter to train: no float32 initializer is used as a weight')
  }
  const made = new Set([
    input.name,
    ...parameters.map(({ name }) => name),
    ...nodes.flatMap((node) => node.outputs),
  ])
  const constants = new Set(
    nodes.flatMap(({ inputs }) => inputs).filter((name) => name !== '' && !made.has(name)),
  )
  if (!made.has(output)) throw new ModelError(`graph output ${quoted(output)} does not depend on the input`)
  const liveModel = { ...model, nodes: model.nodes.filter((_, index) => live.has(index)) }
  return { model: liveModel, input, output, parameters, nodes, constants }
}

/** Indices of the nodes that the output depends on. */
function liveNodes(model: Model, output: string): Set<number> {
  const wanted = new Set([output])
  const live = new Set<number>()
  for (let index = model.nodes.length - 1; index >= 0; index--) {
    const node = model.nodes[index]
    if (!node?.outputs.some((name) => wanted.has(name))) continue
    live.add(index)
    for (const name of node.inputs) wanted.add(name)
  }
  return live
}

/** All nodes, their inputs pointing at initializers and separated parameters instead of at Identity nodes. */
function renamed(model: Model, parameters: readonly ModelParameter[]): Node[] {
  const aliases = aliasesOf(model)
  const separated = new Map<string, string>()
  for (const { name, uses } of parameters) {
    for (const use of uses ?? []) separated.set(`${use.node} ${use.input}`, name)
  }
  return model.nodes.map((node, index) => ({
    ...node,
    inputs: node.inputs.map((name, input) => separated.get(`${index} ${input}`) ?? aliases.get(name) ?? name),
  }))
}

interface Scope {
  live: ReadonlySet<number>
  input: ValueInfo
  parameters: readonly ModelParameter[]
}

function varyingNodes(nodes: readonly Node[], { live, input, parameters }: Scope): Node[] {
  const varying = new Set([input.name, ...parameters.map(({ name }) => name)])
  const found: Node[] = []
  for (const [index, node] of nodes.entries()) {
    if (!live.has(index) || !dataInputs(node).some((name) => varying.has(name))) continue
    found.push(node)
    for (const name of node.outputs) varying.add(name)
  }
  return found
}

function refuseUntrainable(model: Model, live: ReadonlySet<number>, varying: readonly Node[]): void {
  const varyingOutputs = new Set(varying.flatMap(({ outputs }) => outputs.filter((name) => name !== '')))
  const fixed = model.nodes.filter(
    ({ outputs }, index) => live.has(index) && !outputs.some((name) => varyingOutputs.has(name)),
  )
  const unsupported = new Set([
    ...varying.filter(({ op }) => !OPERATORS.has(op)).map(({ op }) => op),
    ...fixed.filter(({ op }) => !OPERATORS.has(op) && !FOLDABLE_OPERATORS.has(op)).map(({ op }) => op),
  ])
  const used = new Set([...varying.flatMap(({ inputs }) => inputs), ...model.outputs.map(({ name }) => name)])
  const problems = varying.flatMap((node) => problemsOf(node, used))
  if (unsupported.size > 0) {
    problems.unshift(
      `operators without a gradient: ${[...unsupported].map(quoted).join(', ')}; ` +
        `supported are ${SUPPORTED_OPERATORS.join(', ')}`,
    )
  }
  if (problems.length > 0)
    throw new ModelError(`the model cannot be trained: ${problems.slice(0, 20).join('. ')}`)
}

function problemsOf(node: Node, used: ReadonlySet<string>): string[] {
  const refusal = OPERATORS.get(node.op)?.refuse?.(node)
  const problems = refusal === undefined ? [] : [`${describeNode(node)}: ${refusal}`]
  const usable = OPERATORS.get(node.op)?.outputs ?? 1
  if (node.outputs.slice(usable).some((name) => name !== '' && used.has(name))) {
    const which = usable === 1 ? 'only its first output' : `only its first ${usable} outputs`
    problems.push(`${describeNode(node)}: ${which} may be used`)
  }
  return problems
}

function onlyInput(model: Model): ValueInfo {
  const [input] = model.inputs
  if (!input || model.inputs.length !== 1) {
    throw new ModelError(
      `the model has ${model.inputs.length} inputs${listed(model.inputs)}; supported is one`,
    )
  }
  if (input.type !== 'float32') {
    throw new ModelError(`input ${quoted(input.name)} is ${input.type}; supported is float32`)
  }
  if (input.shape.length === 0) {
    throw new ModelError(`input ${quoted(input.name)} has no dimensions; the first one must be the batch`)
  }
  for (const [axis, size] of input.shape.entries()) {
    if (typeof size === 'number' ? size < 1 : axis > 0) {
      const text = typeof size === 'number' ? String(size) : quoted(size)
      throw new ModelError(
        `input ${quoted(input.name)}: dimension ${axis} is ${text}; it must be a fixed size of 1 or more` +
          (axis === 0 ? ', or dynamic' : ' (only the first, the batch, may be dynamic)'),
      )
    }
  }
  return input
}

function onlyOutput(model: Model): string {
  const [output] = model.outputs
  if (output && model.outputs.length === 1) return output.name
  throw new ModelError(
    `the model has ${model.outputs.length} outputs${listed(model.outputs)}; supported is one`,
  )
}

function listed(values: readonly { name: string }[]): string {
  const names = values.slice(0, 10).map(({ name }) => quoted(name))
  return names.length === 0 ? '' : ` (${names.join(', ')})`
}
