/*
 * From a model to what will be compiled: the nodes that matter, split into those that vary with the input or the
 * parameters and those that do not, and the parameters. Everything that cannot be trained is reported at once.
 */
import { ModelError } from './errors.ts'
import { describeNode, type Node, quoted, type ValueInfo } from './graph.ts'
import { inputProblems } from './inputs.ts'
import type { Model } from './model.ts'
import { FOLDABLE_OPERATORS, OPERATORS, SUPPORTED_OPERATORS } from './operators/index.ts'
import { aliasesOf, dataInputs, findParameters, type ModelParameter } from './parameters.ts'
import { upgraded } from './upgrade.ts'

export interface Prepared {
  /** The user's model without the nodes that its output does not depend on. */
  model: Model
  /** All with the batch first; at least one. */
  inputs: readonly ValueInfo[]
  output: string
  parameters: ModelParameter[]
  /** Nodes to compile, inputs renamed to parameters where these were separated. */
  nodes: Node[]
  /** Values that do not vary and that `nodes` use; their content is known after the discovery run. */
  constants: Set<string>
}

/** Throws a ModelError that names everything in the way. */
export function prepare(given: Model, frozen: readonly string[] = []): Prepared {
  const problems = findProblems(given, frozen)
  const model = upgraded(given)
  const [output] = model.outputs
  if (problems.length > 0 || !output) {
    throw new ModelError(`the model cannot be trained: ${problems.slice(0, 20).join('. ')}`)
  }
  const { live, parameters, nodes } = analyse(model, frozen)
  const made = madeBy(model, parameters, nodes)
  const constants = new Set(
    nodes.flatMap(({ inputs }) => inputs).filter((name) => name !== '' && !made.has(name)),
  )
  const liveModel = { ...model, nodes: model.nodes.filter((_, index) => live.has(index)) }
  return { model: liveModel, inputs: model.inputs, output: output.name, parameters, nodes, constants }
}

/** Everything that keeps a model from being trained, a sentence each. Looks at the graph only, runs nothing. */
export function findProblems(given: Model, frozen: readonly string[] = []): string[] {
  const model = upgraded(given)
  const problems = [...inputProblems(model), ...outputProblems(model)]
  try {
    const analysis = analyse(model, frozen)
    return [...problems, ...graphProblems(model, analysis)]
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    return [...problems, error.message]
  }
}

/** What would learn or is running state; nothing where that cannot be told. */
export function parametersOf(model: Model, frozen: readonly string[] = []): ModelParameter[] {
  try {
    return analyse(model, frozen).parameters
  } catch (error) {
    if (error instanceof ModelError) return []
    throw error
  }
}

interface Analysis {
  /** Indices of the nodes that the outputs depend on. */
  live: Set<number>
  parameters: ModelParameter[]
  /** The live nodes that vary with the inputs or the parameters. */
  nodes: Node[]
}

function analyse(model: Model, frozen: readonly string[]): Analysis {
  const live = liveNodes(model)
  const parameters = findParameters(model, live, frozen)
  return { live, parameters, nodes: varyingNodes(model, live, parameters) }
}

function madeBy(model: Model, parameters: readonly ModelParameter[], nodes: readonly Node[]): Set<string> {
  return new Set([
    ...model.inputs.map(({ name }) => name),
    ...parameters.map(({ name }) => name),
    ...nodes.flatMap(({ outputs }) => outputs),
  ])
}

function graphProblems(model: Model, { live, parameters, nodes }: Analysis): string[] {
  const problems = operatorProblems(model, live, nodes)
  if (!parameters.some(({ trainable }) => trainable)) {
    problems.push('the model has no parameter to train: no float32 initializer is used as a weight')
  }
  const made = madeBy(model, parameters, nodes)
  for (const { name } of model.outputs) {
    if (!made.has(name)) problems.push(`graph output ${quoted(name)} does not depend on the input`)
  }
  return problems
}

function liveNodes(model: Model): Set<number> {
  const wanted = new Set(model.outputs.map(({ name }) => name))
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

function varyingNodes(
  model: Model,
  live: ReadonlySet<number>,
  parameters: readonly ModelParameter[],
): Node[] {
  const varying = madeBy(model, parameters, [])
  const found: Node[] = []
  for (const [index, node] of renamed(model, parameters).entries()) {
    if (!live.has(index) || !dataInputs(node).some((name) => varying.has(name))) continue
    found.push(node)
    for (const name of node.outputs) varying.add(name)
  }
  return found
}

function operatorProblems(model: Model, live: ReadonlySet<number>, varying: readonly Node[]): string[] {
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
  return problems
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

function outputProblems({ outputs }: Model): string[] {
  return outputs.length === 1 ? [] : [`the model has ${listed(outputs, 'output')}; supported is one`]
}

function listed(values: readonly { name: string }[], what: string): string {
  const names = values.slice(0, 10).map(({ name }) => quoted(name))
  return `${values.length} ${what}s${names.length === 0 ? '' : ` (${names.join(', ')})`}`
}
