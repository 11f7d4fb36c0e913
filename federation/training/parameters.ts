/*
 * Decides what learns: float32 initializers that are used as weights (roles.ts), except those that the configuration
 * freezes, that the exporter calls buffers, or that hold an infinity. Exporters merge initializers of equal value, which ties parameters that only start out equal: one that is all 0
 * or all 1 and used more than once is separated again, each use getting its own.
 */
import { ModelError } from './errors.ts'
import { type Node, quoted, type TensorValue } from './graph.ts'
import type { Model } from './model.ts'
import { type Role, Roles } from './roles.ts'

export interface Use {
  /** Index in the model's nodes. */
  node: number
  input: number
}

export interface ModelParameter {
  name: string
  initializer: string
  value: TensorValue
  trainable: boolean
  /** The uses that this parameter replaces, where it was separated from its initializer. */
  uses?: Use[]
}

export function findParameters(
  model: Model,
  live: ReadonlySet<number>,
  frozen: readonly string[],
): ModelParameter[] {
  const isFrozen = frozenNames(model, frozen)
  const uses = usesOf(model, live)
  const roles = new Roles(model)
  const taken = new Set(namesOf(model))
  const parameters: ModelParameter[] = []
  for (const [initializer, value] of model.initializers) {
    if (value.type !== 'float32' || isFrozen.has(initializer)) continue
    const learns = !model.buffers.has(initializer) && !value.data.some(isInfinite)
    const found = (uses.get(initializer) ?? []).map((use) => {
      const role = roleAt(model, use, { roles, value })
      return { ...use, role: role === 'weight' && !learns ? 'constant' : role }
    })
    parameters.push(...parametersOf({ initializer, value, uses: found, taken }))
  }
  return [
    ...parameters.filter(({ trainable }) => trainable),
    ...parameters.filter(({ trainable }) => !trainable),
  ]
}

/** Follows Identity nodes back: exporters share an initializer through them. */
export function aliasesOf(model: Model): Map<string, string> {
  const aliases = new Map<string, string>()
  for (const node of model.nodes) {
    const source = node.inputs[0] ?? ''
    const resolved = aliases.get(source) ?? source
    if (node.op === 'Identity' && model.initializers.has(resolved))
      aliases.set(node.outputs[0] ?? '', resolved)
  }
  return aliases
}

export function namesOf(model: Model): string[] {
  return [
    ...model.inputs.map(({ name }) => name),
    ...model.initializers.keys(),
    ...model.nodes.flatMap(({ outputs }) => outputs),
  ]
}

function usesOf(model: Model, live: ReadonlySet<number>): Map<string, Use[]> {
  const aliases = aliasesOf(model)
  const uses = new Map<string, Use[]>()
  for (const [index, node] of model.nodes.entries()) {
    if (!live.has(index) || aliases.has(node.outputs[0] ?? '')) continue
    for (const [position, name] of dataInputs(node).entries()) {
      const initializer = aliases.get(name) ?? name
      const known = uses.get(initializer)
      if (known) known.push({ node: index, input: position })
      else uses.set(initializer, [{ node: index, input: position }])
    }
  }
  return uses
}

/**
 * The inputs whose elements a node's output depends on. Sizes and types are fixed in a compiled graph, so what
 * only reads those does not vary.
 */
export function dataInputs({ op, inputs }: Node): readonly string[] {
  if (op === 'Shape' || op === 'Size' || op === 'EyeLike') return []
  return op === 'CastLike' ? inputs.slice(0, 1) : inputs
}

function roleAt(model: Model, use: Use, { roles, value }: { roles: Roles; value: TensorValue }): Role {
  const node = model.nodes[use.node]
  return node ? roles.of(node, use.input, value.shape) : 'constant'
}

interface Found {
  initializer: string
  value: TensorValue
  uses: (Use & { role: Role })[]
  taken: Set<string>
}

function parametersOf({ initializer, value, uses, taken }: Found): ModelParameter[] {
  const learning = uses.filter(({ role }) => role !== 'constant')
  const [first] = learning
  if (!first) return []
  if (uses.length === 1)
    return [{ initializer, name: initializer, value, trainable: first.role === 'weight' }]
  if (isFilled(value)) {
    return learning.map(({ node, input, role }) => {
      const name = freshName(`${initializer}.${node}.${input}`, taken)
      return { initializer, name, value, trainable: role === 'weight', uses: [{ node, input }] }
    })
  }
  if (learning.some(({ role }) => role !== first.role)) {
    throw new ModelError(
      `initializer ${quoted(initializer)} is both a weight and a running statistic; export them separately`,
    )
  }
  return [{ initializer, name: initializer, value, trainable: first.role === 'weight' }]
}

/** As in masks that are added to the scores of an attention. */
function isInfinite(element: number | bigint): boolean {
  return Math.abs(Number(element)) === Infinity
}

/** As fresh biases, scales and running statistics are. */
function isFilled({ data }: TensorValue): boolean {
  const [first] = data
  return (first === 0 || first === 1) && data.every((element: number | bigint) => element === first)
}

function freshName(base: string, taken: Set<string>): string {
  let name = base
  for (let i = 2; taken.has(name); i++) name = `${base}.${i}`
  taken.add(name)
  return name
}

function frozenNames(model: Model, patterns: readonly string[]): Set<string> {
  const names = [...model.initializers.keys()]
  const frozen = new Set<string>()
  for (const pattern of patterns) {
    const matches = names.filter((name) => matchesPattern(name, pattern))
    if (matches.length === 0) {
      throw new ModelError(
        `frozen: ${quoted(pattern)} matches no initializer; the model has ${names.slice(0, 20).map(quoted).join(', ')}`,
      )
    }
    for (const name of matches) frozen.add(name)
  }
  return frozen
}

/** `*` stands for any characters. Linear in the name for each piece: no regular expression from outside. */
export function matchesPattern(name: string, pattern: string): boolean {
  const pieces = pattern.split('*')
  const [first = '', ...rest] = pieces
  if (rest.length === 0) return name === pattern
  const last = rest.pop() ?? ''
  if (!name.startsWith(first)) return false
  let position = first.length
  for (const piece of rest) {
    const found = name.indexOf(piece, position)
    if (found < 0) return false
    position = found + piece.length
  }
  return name.length - last.length >= position && name.endsWith(last)
}
