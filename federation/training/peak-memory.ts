/*
 * How many bytes of memory a run of a graph takes: its nodes in the order in which ONNX Runtime runs them, its values
 * where the runtime's planner puts them (some in the place of others of the same shape), in the runtime's arena, with
 * the scratch memory of convolutions and with what is in the bodies of loops. What the graph is given and gives out is
 * the caller's and not counted.
 */
import { type Allocation, Arena } from './arena.ts'
import { type Graph, intOf, type Node, valuesRead } from './graph.ts'
import { bodiesOf, type Shapes } from './infer.ts'
import { elementCount } from './manifest.ts'
import { bytesOf, placesOf } from './memory-places.ts'

const FLOAT_BYTES = 4

/** @param shapes of all values, those of bodies included */
export function peakBytes(graph: Graph, shapes: Shapes): number {
  const arena = new Arena()
  new Run(graph, shapes, arena).take()
  return arena.touched
}

class Run {
  private readonly order: readonly Node[]
  private readonly shapes: Shapes
  private readonly arena: Arena
  /** The caller's: nothing of it is in the arena. */
  private readonly outside: ReadonlySet<string>
  /** Value → the one that has its memory. */
  private readonly places: ReadonlyMap<string, string>
  /** Values that have memory → the last node that uses it. */
  private readonly lastUses = new Map<string, number>()
  private readonly held = new Map<string, Allocation>()

  constructor(graph: Graph, shapes: Shapes, arena: Arena) {
    this.order = inOrderOfExecution(graph)
    this.shapes = shapes
    this.arena = arena
    this.outside = new Set([
      ...[...graph.inputs, ...graph.outputs].map(({ name }) => name),
      ...graph.initializers.keys(),
    ])
    this.places = placesOf(this.order, shapes, this.outside)
    for (const [index, node] of this.order.entries()) {
      for (const name of [...valuesRead(node), ...node.outputs]) this.lastUses.set(this.place(name), index)
    }
  }

  take(): void {
    for (const [index, node] of this.order.entries()) this.step(node, index)
  }

  private step(node: Node, index: number): void {
    for (const name of node.outputs) {
      const place = this.place(name)
      if (name === '' || this.outside.has(place) || this.held.has(place)) continue
      if (place === name) this.held.set(name, this.arena.allocate(bytesOf(name, this.shapes)))
    }
    const scratch = scratchBytes(node, this.shapes)
    if (scratch > 0) this.arena.free(this.arena.allocate(scratch))
    for (const body of bodiesOf(node)) this.iterate(body)
    for (const name of [...valuesRead(node), ...node.outputs]) {
      const place = this.place(name)
      const allocation = this.held.get(place)
      if (!allocation || this.lastUses.get(place) !== index) continue
      this.arena.free(allocation)
      this.held.delete(place)
    }
  }

  /** Two iterations: what the first gives out is there until the second has given out its own. */
  private iterate(body: Graph): void {
    const given = [0, 1].map(() => {
      const outputs = body.outputs.map(({ name }) => this.arena.allocate(bytesOf(name, this.shapes)))
      new Run(body, this.shapes, this.arena).take()
      return outputs
    })
    for (const allocation of given.flat()) this.arena.free(allocation)
  }

  private place(name: string): string {
    return this.places.get(name) ?? name
  }
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

/**
 * What an operator takes beside its operands and results: the columns of a convolution of one sample; or, where it runs
 * on blocks of channels, its operand and result in that layout.
 */
function scratchBytes(node: Node, shapes: Shapes): number {
  const { op, inputs, outputs } = node
  const [x = '', w = ''] = inputs
  const [y = ''] = outputs
  const shapeOf = (name: string): readonly number[] => shapes.get(name)?.shape ?? []
  const filter = elementCount(shapeOf(w).slice(1))
  if (op === 'Conv') {
    const columns = FLOAT_BYTES * filter * elementCount(shapeOf(y).slice(2))
    return Math.max(columns, bytesOf(x, shapes) + bytesOf(y, shapes))
  }
  if (op !== 'ConvTranspose') return 0
  return FLOAT_BYTES * filter * elementCount(shapeOf(x).slice(2)) * intOf(node, 'group', 1)
}
