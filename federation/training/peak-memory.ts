/*
 * How many bytes the values of a graph take at most at one time, estimated from their shapes and the order in which
 * ONNX Runtime runs nodes. What the graph is given and gives out is the caller's and not counted. A loop counts by the
 * inputs and outputs of its body, since the shapes of what is within are not known; scratch memory of operators, and
 * what the runtime's allocator keeps in reserve, come on top.
 */
import { type Graph, type Node, type ValueInfo, valuesRead } from './graph.ts'
import type { Inferred } from './infer.ts'
import { elementCount } from './manifest.ts'

type Shapes = ReadonlyMap<string, Inferred>

/** These give their first input in another shape, without a copy. */
const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'])

export function peakBytes(graph: Graph, shapes: Shapes): number {
  const nodes = inOrderOfExecution(graph)
  const owners = ownersOf(nodes)
  const owner = (name: string): string => owners.get(name) ?? name
  const outside = new Set(
    [...graph.inputs, ...graph.outputs].map(({ name }) => owner(name)).concat([...graph.initializers.keys()]),
  )
  const lastUse = new Map<string, number>()
  for (const [index, node] of nodes.entries()) {
    for (const name of [...valuesRead(node), ...node.outputs]) lastUse.set(owner(name), index)
  }
  let alive = 0
  let peak = 0
  for (const [index, node] of nodes.entries()) {
    const made = node.outputs.filter((name) => owner(name) === name && !outside.has(name))
    alive += total(made.map((name) => bytesOf(shapes.get(name))))
    peak = Math.max(peak, alive + bodyBytes(node))
    const touched = new Set([...valuesRead(node), ...node.outputs].map(owner))
    const freed = [...touched].filter((name) => lastUse.get(name) === index && !outside.has(name))
    alive -= total(freed.map((name) => bytesOf(shapes.get(name))))
  }
  return peak
}

/** Depth first from the results, the last first, and from the inputs of a node, the last made first. */
function inOrderOfExecution({ nodes }: Graph): Node[] {
  const makers = new Map(nodes.flatMap((node, index) => node.outputs.map((name) => [name, index] as const)))
  makers.delete('')
  const sources = nodes.map((node) => [...valuesRead(node)].flatMap((name) => makers.get(name) ?? []))
  const used = new Set(sources.flat())
  const stack = nodes.flatMap((_, index) => (used.has(index) ? [] : [{ index, isReady: false }]))
  const visited = new Set<number>()
  const order: Node[] = []
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { index, isReady } = entry
    const node = nodes[index]
    if (isReady && node) order.push(node)
    if (isReady || visited.has(index)) continue
    visited.add(index)
    stack.push({ index, isReady: true })
    const before = [...new Set(sources[index])].filter((each) => !visited.has(each))
    stack.push(...before.toSorted((a, b) => a - b).map((each) => ({ index: each, isReady: false })))
  }
  return order
}

/** View → the value that has its bytes. */
function ownersOf(nodes: readonly Node[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const { op, inputs, outputs } of nodes) {
    const [source = ''] = inputs
    if (VIEWS.has(op)) owners.set(outputs[0] ?? '', owners.get(source) ?? source)
  }
  return owners
}

function bodyBytes({ attributes }: Node): number {
  const infos = Object.values(attributes).flatMap((attribute) =>
    attribute.kind === 'graph' ? [...attribute.value.inputs, ...attribute.value.outputs] : [],
  )
  return total(infos.map((info) => ('type' in info ? declaredBytes(info as ValueInfo) : 0)))
}

/** Nothing where a dimension has no fixed size. */
function declaredBytes({ type, shape }: ValueInfo): number {
  const sizes = shape.filter((size) => typeof size === 'number')
  return sizes.length === shape.length ? bytesOf({ type, shape: sizes }) : 0
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = { float64: 8, int64: 8, bool: 1 }

function bytesOf(value: Inferred | undefined): number {
  return value ? elementCount(value.shape) * (ELEMENT_BYTES[value.type] ?? 4) : 0
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
