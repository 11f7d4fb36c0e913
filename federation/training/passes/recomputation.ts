/*
 * Recomputation (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016): the forward pass is cut into
 * segments, and what the backward pass reads from all but the last of them is computed again from the values at the
 * cuts, so that those are all that is kept. The same operators on the same values give the same bits.
 *
 * What is computed again must neither be merged with the first time nor run early. Both follow from one dependence: the
 * values at a cut are multiplied by a 1 that is made from the gradient which has arrived there. No optimiser can know
 * that it is 1, on any runtime.
 */
import { GraphBuilder } from '../builder.ts'
import { type Graph, int, type Node, renamed, valuesOf, valuesRead } from '../graph.ts'
import type { Inferred, Shapes } from '../infer.ts'
import { elementCount } from '../manifest.ts'
import { withoutDead } from './dead.ts'
import { inTopologicalOrder } from './order.ts'

export interface Recomputation {
  graph: Graph
  shapes: Map<string, Inferred>
  /** How many run a second time. */
  nodes: number
}

export interface StepValues {
  /** Graph inputs that differ from batch to batch. */
  batch: readonly string[]
  /** What the forward pass is for: the loss, and new running statistics. */
  results: readonly string[]
}

/** Nothing where the graph cannot be cut into so many segments. */
export function recomputed(
  graph: Graph,
  shapes: Shapes,
  step: StepValues,
  segments: number,
): Recomputation | undefined {
  const sweep = new Sweep(graph, shapes, step)
  const cuts = sweep.cuts(segments)
  return cuts.length === 0 ? undefined : sweep.cutAt(cuts)
}

class Sweep {
  private readonly graph: Graph
  private readonly shapes: Map<string, Inferred>
  private readonly builder: GraphBuilder
  /** Nodes of the forward pass that depend on the batch, in order. */
  private readonly forward: readonly Node[]
  private readonly backward: readonly Node[]
  /** Value → index of the forward node that makes it. */
  private readonly madeAt: ReadonlyMap<string, number>
  private readonly batch: ReadonlySet<string>
  private readonly clones = new Map<string, string>()
  private count = 0

  constructor(graph: Graph, shapes: Shapes, { batch, results }: StepValues) {
    this.graph = graph
    this.shapes = new Map(shapes)
    this.builder = new GraphBuilder(valuesOf(graph))
    this.batch = new Set(batch)
    const before = ancestors(graph.nodes, results)
    const dependent = descendants(graph.nodes, this.batch)
    this.forward = graph.nodes.filter((node) => before.has(node) && dependent.has(node))
    this.backward = graph.nodes.filter((node) => !before.has(node))
    this.madeAt = new Map(
      this.forward.flatMap(({ outputs }, index) =>
        outputs.filter((name) => name !== '').map((name) => [name, index] as const),
      ),
    )
  }

  /** Where the forward pass is cut: at what it saves in equal parts, and there where the least goes over the cut. */
  cuts(segments: number): number[] {
    const read = new Set(this.backward.flatMap((node) => reads(node)))
    const saved = this.forward.map(({ outputs }) =>
      sum(outputs.map((name) => (read.has(name) ? this.bytes(name) : 0))),
    )
    const total = sum(saved)
    const crossing = this.crossingBytes()
    const found = new Set<number>()
    for (let part = 1; part < segments; part++) {
      let best: number | undefined
      let done = 0
      for (const [index, bytes] of saved.entries()) {
        const isNear = Math.abs((done / total) * segments - part) <= 0.5
        if (isNear && index > 0 && (crossing[index] ?? 0) < (crossing[best ?? -1] ?? Infinity)) best = index
        done += bytes
      }
      if (best !== undefined) found.add(best)
    }
    return [...found].sort((a, b) => a - b)
  }

  cutAt(cuts: readonly number[]): Recomputation {
    const segmentOf = (index: number): number => cuts.filter((cut) => cut <= index).length
    const kept = new Set<string>()
    for (const [index, node] of this.forward.entries()) {
      for (const name of reads(node)) {
        const made = this.madeAt.get(name)
        if (made !== undefined && segmentOf(made) !== segmentOf(index)) kept.add(name)
      }
    }
    const flowing = this.gradientsFlowing((index) => segmentOf(index) === cuts.length)
    const isFree = (name: string, segment: number): boolean => {
      const index = this.madeAt.get(name)
      return index !== undefined && segmentOf(index) === segment && !kept.has(name)
    }
    for (let segment = cuts.length - 1; segment >= 0; segment--) {
      this.again(flowing, (name) => isFree(name, segment))
    }
    return this.result()
  }

  /** Makes the values that `isFree` tells a second time, for the backward pass. */
  private again(flowing: ReadonlySet<Node>, isFree: (name: string) => boolean): void {
    const wanted = new Set(this.backward.flatMap((node) => reads(node).filter(isFree)))
    const after = descendants(this.backward, wanted)
    const before = ancestors(
      this.backward,
      this.backward.flatMap((node) => (after.has(node) ? reads(node) : [])),
    )
    // Gradients are listed as they flow. One that came before all that reads this segment waits for none of it, nor for
    // what waits for it.
    const first = this.backward.findIndex((node) => flowing.has(node) && after.has(node))
    const arrived = this.backward
      .slice(0, Math.max(first, 0))
      .findLast((node) => flowing.has(node) && before.has(node) && this.isFloat(node.outputs[0]))
    const gradient = arrived?.outputs[0]
    if (gradient === undefined) return
    const segment = new Segment({ ...this.tools(), isFree, one: this.oneFrom(gradient) })
    for (const name of wanted) this.clones.set(name, segment.value(name))
    this.count += segment.count
  }

  private tools(): Omit<SegmentTools, 'isFree' | 'one'> {
    const { builder, shapes, forward, madeAt, batch } = this
    return { builder, shapes, forward, madeAt, batch }
  }

  /** 1, whatever the gradient is, as [1]. */
  private oneFrom(gradient: string): string {
    const { builder } = this
    const rank = this.shapes.get(gradient)?.shape.length ?? 0
    const [zeros, ones] = [0, 1].map((value) => builder.int64(Array<number>(rank).fill(value)))
    const corner = rank === 0 ? gradient : builder.add('Slice', [gradient, zeros ?? '', ones ?? ''])
    const element = builder.reshape(corner, [1])
    const isMore = builder.add('Greater', [element, element])
    const one = builder.add('Cast', [builder.add('Not', [isMore])], { to: int(1) }, 'one')
    const float = { type: 'float32', shape: [1] }
    for (const name of [element, one]) this.shapes.set(name, float)
    return one
  }

  /** Nodes of the backward pass that come after the loss, unlike those that only prepare something for it. */
  private gradientsFlowing(isLast: (index: number) => boolean): Set<Node> {
    const last = this.forward.flatMap(({ outputs }, index) => (isLast(index) ? outputs : []))
    return descendants(this.backward, new Set(last))
  }

  private crossingBytes(): number[] {
    const lastRead = new Map<string, number>()
    for (const [index, node] of this.forward.entries()) {
      for (const name of reads(node)) lastRead.set(name, index)
    }
    const changes = Array<number>(this.forward.length + 2).fill(0)
    for (const [name, made] of this.madeAt) {
      const last = lastRead.get(name) ?? made
      changes[made + 1] = (changes[made + 1] ?? 0) + this.bytes(name)
      changes[last + 1] = (changes[last + 1] ?? 0) - this.bytes(name)
    }
    let bytes = 0
    return changes.map((change) => (bytes += change))
  }

  private result(): Recomputation {
    const backward = new Set(this.backward)
    const nodes = this.graph.nodes.map((node) => (backward.has(node) ? reading(node, this.clones) : node))
    const whole: Graph = {
      ...this.graph,
      initializers: new Map([...this.graph.initializers, ...this.builder.initializers]),
      nodes: inTopologicalOrder([...nodes, ...this.builder.nodes]),
    }
    return { graph: withoutDead(whole), shapes: this.shapes, nodes: this.count }
  }

  private bytes(name: string): number {
    return 4 * elementCount(this.shapes.get(name)?.shape ?? [0])
  }

  private isFloat(name = ''): boolean {
    const value = this.shapes.get(name)
    return value?.type === 'float32' && elementCount(value.shape) > 0
  }
}

interface SegmentTools {
  builder: GraphBuilder
  shapes: Map<string, Inferred>
  forward: readonly Node[]
  madeAt: ReadonlyMap<string, number>
  batch: ReadonlySet<string>
  /** Whether a value of the forward pass is made again. */
  isFree: (name: string) => boolean
  one: string
}

/** The nodes of a segment for the second time. */
class Segment {
  count = 0
  private readonly tools: SegmentTools
  private readonly names = new Map<string, string>()

  constructor(tools: SegmentTools) {
    this.tools = tools
  }

  value(name: string): string {
    const known = this.names.get(name)
    if (known !== undefined) return known
    if (this.tools.isFree(name)) this.repeat(name)
    else this.names.set(name, this.atCut(name))
    return this.names.get(name) ?? name
  }

  private repeat(name: string): void {
    const { builder, forward, madeAt, shapes } = this.tools
    const node = forward[madeAt.get(name) ?? -1]
    if (!node) throw new Error(`unreachable: nothing makes ${name}`)
    const inputs = new Map(reads(node).map((each) => [each, this.value(each)]))
    const outputs = node.outputs.map((each) => (each === '' ? '' : builder.fresh(`${each}.again`)))
    for (const [index, each] of node.outputs.entries()) {
      const shape = shapes.get(each)
      if (each === '' || !shape) continue
      this.names.set(each, outputs[index] ?? '')
      shapes.set(outputs[index] ?? '', shape)
    }
    builder.append({ ...reading(node, inputs), name: outputs[0] ?? '', outputs })
    this.count += 1
  }

  /** A value that is there already; what depends on the batch only once the gradient has arrived. */
  private atCut(name: string): string {
    const { builder, shapes, madeAt, batch, one } = this.tools
    const value = shapes.get(name)
    const varies = madeAt.has(name) || batch.has(name)
    if (!varies || value?.type !== 'float32' || value.shape.length === 0) return name
    const again = builder.add('Mul', [name, one], {}, `${name}.again`)
    shapes.set(again, value)
    return again
  }
}

function reads(node: Node): string[] {
  return [...valuesRead(node)].filter((name) => name !== '')
}

/** The node with other names for what it reads. */
function reading(node: Node, names: ReadonlyMap<string, string>): Node {
  const graph: Graph = { inputs: [], outputs: [], initializers: new Map(), nodes: [node] }
  const [other = node] = renamed(graph, names).nodes
  return { ...other, outputs: node.outputs }
}

/** The nodes that these values depend on. */
function ancestors(nodes: readonly Node[], values: Iterable<string>): Set<Node> {
  const wanted = new Set(values)
  const found = new Set<Node>()
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue
    found.add(node)
    for (const name of reads(node)) wanted.add(name)
  }
  return found
}

/** The nodes that depend on these values. */
function descendants(nodes: readonly Node[], values: ReadonlySet<string>): Set<Node> {
  const known = new Set(values)
  const found = new Set<Node>()
  for (const node of nodes) {
    if (!reads(node).some((name) => known.has(name))) continue
    found.add(node)
    for (const name of node.outputs) if (name !== '') known.add(name)
  }
  return found
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
