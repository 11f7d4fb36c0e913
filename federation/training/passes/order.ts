/*
 * The order of nodes: one in which they can run, and one in which the runtime needs little memory. Neither changes what
 * is computed.
 */
import { type Graph, type Node, valuesRead } from '../graph.ts'

/** As near as possible to the order they are in. */
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

/**
 * Lists the nodes that nothing reads from last, in the order of the graph's outputs. ONNX Runtime works towards the last
 * of them first: with parameters in order, the gradients of the last layers are finished, and what they need is free,
 * before those of the first layers are begun.
 */
export function resultsInOrder(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap((node) => [...valuesRead(node)]))
  const outputs = graph.outputs.map(({ name }) => name)
  const rank = ({ outputs: [name = ''] }: Node): number => outputs.indexOf(name)
  const isResult = (node: Node): boolean => node.outputs.every((name) => !read.has(name))
  const results = graph.nodes.filter(isResult).toSorted((a, b) => rank(a) - rank(b))
  return { ...graph, nodes: [...graph.nodes.filter((node) => !isResult(node)), ...results] }
}
