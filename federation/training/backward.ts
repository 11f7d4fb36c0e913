/*
 * Reverse-mode differentiation: walks the forward pass backwards and adds, for every parameter that learns, the
 * gradient of the loss. A value that is used more than once gets the sum of what flows back from its uses.
 * Gradients flow through float32 values only.
 */
import type { GraphBuilder } from './builder.ts'
import type { Forward } from './emit.ts'
import type { Backward, InputGradients } from './operators/operator.ts'
import { sumOfGradients } from './operators/whole.ts'

/** Gradients of `parameters`, given those of some outputs (`seeds`); a parameter that none reaches is left out. */
export function emitBackward(
  { builder, steps, types }: Pick<Forward, 'builder' | 'steps' | 'types'>,
  seeds: ReadonlyMap<string, string>,
  parameters: readonly string[],
): Map<string, string> {
  const needed = dependents({ steps, types }, parameters)
  const partial = new Partials(builder)
  for (const [output, dy] of seeds) partial.add(output, dy)
  for (const { node, backward } of steps.toReversed()) {
    if (!node.inputs.some((name) => needed.has(name))) continue
    const gradients = gradientsOf(
      backward,
      node.outputs.map((name) => partial.total(name)),
    )
    for (const [index, name] of node.inputs.entries()) {
      const gradient = gradients[index]
      if (gradient && needed.has(name)) partial.add(name, gradient())
    }
  }
  const totals = parameters.map((name) => [name, partial.total(name)] as const)
  return new Map(totals.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function gradientsOf(backward: Backward, dys: readonly (string | undefined)[]): InputGradients {
  const [first] = dys
  if (typeof backward === 'function') return first === undefined ? [] : backward(first)
  return dys.every((dy) => dy === undefined) ? [] : backward.ofOutputs(dys)
}

/** For each value, the gradients that have flowed back to it. */
class Partials {
  private readonly builder: GraphBuilder
  private readonly gradients = new Map<string, string[]>()

  constructor(builder: GraphBuilder) {
    this.builder = builder
  }

  add(name: string, gradient: string): void {
    const known = this.gradients.get(name)
    if (known) known.push(gradient)
    else this.gradients.set(name, [gradient])
  }

  total(name: string): string | undefined {
    const found = this.gradients.get(name)
    if (!found || found.length === 1) return found?.[0]
    return sumOfGradients(this.builder, found, this.builder.shape(name))
  }
}

/** The parameters and everything that depends on them: only these need gradients. */
function dependents(
  { steps, types }: Pick<Forward, 'steps' | 'types'>,
  parameters: readonly string[],
): Set<string> {
  const needed = new Set(parameters)
  for (const { node } of steps) {
    if (!node.inputs.some((name) => needed.has(name))) continue
    for (const name of node.outputs) if (types.get(name) === 'float32') needed.add(name)
  }
  return needed
}
