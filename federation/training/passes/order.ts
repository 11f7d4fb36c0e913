/*
 * Brings nodes into an order in which they can run, as near as possible to the order they are in.
 */
import { type Node, valuesRead } from '../graph.ts'

export function inTopologicalOrder(nodes: readonly Node[]): Node[] {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  makers.delete('')
  const done = new Set<Node>()
  const missing = (node: Node): Node | undefined =>
    [...valuesRead(node)].map((name) => makers.get(name)).find((maker) => maker && !done.has(maker))
  const stack: Node[] = []
  for (const first of nodes) {
    if (!done.has(first)) stack.push(first)
    for (let node = stack.at(-1); node; node = stack.at(-1)) {
      const next = missing(node)
      if (stack.length > nodes.length) throw new Error(`unreachable: ${node.name} waits for itself`)
      if (next) stack.push(next)
      else done.add(stack.pop() ?? node)
    }
  }
  return [...done]
}
