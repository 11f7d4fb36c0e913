/*
 * Reverse-mode differentiation: walks the forward pass backwards and adds, for every parameter that learns, the
 * gradient of the loss. A value that is used more than once gets the sum of what flows back from its uses.
 */
import type { GraphBuilder } from './builder.ts'
import type { Forward } from './emit.ts'

/** Gradients of `parameters`, given the gradient `dy` of the value `output`. */
export function emitBackward(
  { builder, steps }: Pick<Forward, 'builder' | 'steps'>,
  seed: { output: string; dy: string },
  parameters: readonly string[],
): Map<string, string> {
  const needed = dependents(steps, parameters)
  const partial = new Map<string, string[]>([[seed.output, [seed.dy]]])
  for (const { node, backward } of steps.toReversed()) {
    const dy = total(builder, partial, node.outputs[0] ?? '')
    if (dy === undefined || !node.inputs.some((name) => needed.has(name))) continue
    const gradients = backward(dy)
    for (const [index, name] of node.inputs.entries()) {
      const gradient = gradients[index]
      if (!gradient || !needed.has(name)) continue
      partial.set(name, [...(partial.get(name) ?? []), gradient()])
    }
  }
  const result = new Map<string, string>()
  for (const name of parameters) {
    const gradient = total(builder, partial, name)
    if (gradient !== undefined) result.set(name, gradient)
  }
  return result
}

/** The parameters and everything that depends on them: only these need gradients. */
function dependents(steps: Forward['steps'], parameters: readonly string[]): Set<string> {
  const needed = new Set(parameters)
  for (const { node } of steps) {
    if (node.inputs.some((name) => needed.has(name))) for (const name of node.outputs) needed.add(name)
  }
  return needed
}

function total(builder: GraphBuilder, partial: Map<string, string[]>, name: string): string | undefined {
  const gradients = partial.get(name)
  return gradients && builder.sum(gradients)
}
