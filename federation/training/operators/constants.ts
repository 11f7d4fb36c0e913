/*
 * Inputs that are parameters in all but form, such as axes or sizes: their values must be known when the graph is
 * compiled.
 */
import { ModelError } from '../errors.ts'
import { describeNode, type Node } from '../graph.ts'
import { type Emitter, input } from './operator.ts'

/** The numbers of such an input; undefined where it is absent. */
export function integersOf(
  node: Node,
  index: number,
  { emitter, what }: { emitter: Emitter; what: string },
): number[] | undefined {
  const name = input(node, index)
  if (name === '') return undefined
  const value = emitter.constant(name)
  if (value) return Array.from(value.data, Number)
  throw new ModelError(`${describeNode(node)}: its ${what} are computed from data; expected a constant`)
}
