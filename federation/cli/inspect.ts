/*
 * What can be said of a model without a configuration: its interface, its operators, what would learn, and
 * everything that would refuse it. Looks at the graph only; nothing is run.
 */
import type { ValueInfo } from '#federation/training/graph.ts'
import { elementCount } from '#federation/training/manifest.ts'
import type { Model } from '#federation/training/model.ts'
import { FOLDABLE_OPERATORS, OPERATORS } from '#federation/training/operators/index.ts'
import { findProblems, parametersOf } from '#federation/training/prepare.ts'
import { countsOf } from '#federation/training/report.ts'

/** yes: has a gradient. constants: only where it depends on neither the input nor a parameter. */
export type Gradient = 'yes' | 'constants' | 'no'

/** learns: by gradient. state: changes without one. constant: keeps its value. */
export type Part = 'learns' | 'state' | 'constant'

export interface Inspection {
  trainable: boolean
  /** Everything that stands in the way, a sentence each. */
  problems: string[]
  opset: number
  nodes: number
  inputs: ValueInfo[]
  /** Outputs may leave type and shape open. */
  outputs: (ValueInfo | { name: string })[]
  operators: { operator: string; count: number; gradient: Gradient }[]
  /** Float32 initializers, and parameters that were separated from them. */
  parameters: { name: string; shape: number[]; part: Part }[]
  elements: Record<Part, number>
}

export function inspect(model: Model, frozen: readonly string[] = []): Inspection {
  const problems = findProblems(model, frozen)
  const parameters = describeParameters(model, frozen)
  const total = (part: Part): number =>
    parameters
      .filter((parameter) => parameter.part === part)
      .reduce((sum, { shape }) => sum + elementCount(shape), 0)
  return {
    trainable: problems.length === 0,
    problems,
    opset: model.opset,
    nodes: model.nodes.length,
    inputs: [...model.inputs],
    outputs: [...model.outputs],
    operators: [...countsOf(model)]
      .map(([operator, count]) => ({ operator, count, gradient: gradientOf(operator) }))
      .sort((a, b) => (a.operator < b.operator ? -1 : 1)),
    parameters,
    elements: { learns: total('learns'), state: total('state'), constant: total('constant') },
  }
}

function gradientOf(operator: string): Gradient {
  if (OPERATORS.has(operator)) return 'yes'
  return FOLDABLE_OPERATORS.has(operator) ? 'constants' : 'no'
}

function describeParameters(model: Model, frozen: readonly string[]): Inspection['parameters'] {
  const found = parametersOf(model, frozen)
  const known = new Set(found.map(({ initializer }) => initializer))
  const constants = [...model.initializers].filter(
    ([name, { type }]) => type === 'float32' && !known.has(name),
  )
  return [
    ...found.map(({ name, value, trainable }) => ({
      name,
      shape: [...value.shape],
      part: trainable ? ('learns' as const) : ('state' as const),
    })),
    ...constants.map(([name, { shape }]) => ({ name, shape: [...shape], part: 'constant' as const })),
  ]
}
