/*
 * Builds a graph node by node. Every name that it makes is new, also beside the names of the user's graph;
 * equal small constants are stored once.
 */
import {
  type Attributes,
  floatTensor,
  int,
  int64Tensor,
  type Node,
  type TensorValue,
  type ValueInfo,
} from './graph.ts'
import { elementCount } from './manifest.ts'

export type Shape = readonly number[]

export class GraphBuilder {
  readonly inputs: ValueInfo[] = []
  readonly nodes: Node[] = []
  readonly initializers = new Map<string, TensorValue>()
  private taken: Set<string>
  private readonly constants = new Map<string, string>()
  private readonly producers = new Map<string, Node>()
  private readonly shapes = new Map<string, Shape>()

  constructor(taken: Iterable<string>) {
    this.taken = new Set(taken)
  }

  /** A builder for the body of a Loop or Scan in this graph: a name that is new in one is new in the other. */
  body(): GraphBuilder {
    const body = new GraphBuilder([])
    body.taken = this.taken
    return body
  }

  fresh(base: string): string {
    let name = base
    for (let i = 2; this.taken.has(name); i++) name = `${base}.${i}`
    this.taken.add(name)
    return name
  }

  input(base: string, shape: Shape, type: ValueInfo['type'] = 'float32'): string {
    const name = this.fresh(base)
    this.declareInput({ name, type, shape: [...shape] })
    return name
  }

  /** An input under a name that is the user's own, and so already taken. */
  declareInput(info: ValueInfo & { shape: number[] }): void {
    this.inputs.push(info)
    this.setShape(info.name, info.shape)
  }

  /** Adds a node with one output, named after `base` or else after the operator. */
  add(op: string, inputs: readonly string[], attributes: Attributes = {}, base = op): string {
    const output = this.fresh(base)
    const node = { op, name: output, inputs, outputs: [output], attributes }
    this.nodes.push(node)
    this.producers.set(output, node)
    return output
  }

  /** Adds a node with several outputs. */
  addSeveral(op: string, inputs: readonly string[], count: number, attributes: Attributes = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.fresh(op))
    this.nodes.push({ op, name: outputs[0] ?? '', inputs, outputs, attributes })
    return outputs
  }

  /** A node as given, with the names of its outputs. */
  append(node: Node): void {
    this.nodes.push(node)
  }

  /** The node that `add` made for this value. */
  producer(name: string): Node | undefined {
    return this.producers.get(name)
  }

  constant(value: TensorValue): string {
    const key =
      elementCount(value.shape) <= 64 ? `${value.type} ${value.shape.join()}: ${value.data.join()}` : ''
    const known = this.constants.get(key)
    if (known !== undefined) return known
    const name = this.fresh('constant')
    this.initializers.set(name, value)
    this.setShape(name, value.shape)
    if (key !== '') this.constants.set(key, name)
    return name
  }

  scalar(value: number): string {
    return this.constant(floatTensor([value], []))
  }

  int64(values: readonly number[]): string {
    return this.constant(int64Tensor(values))
  }

  setShape(name: string, shape: Shape): void {
    this.shapes.set(name, shape)
  }

  /** Known for inputs, constants, and the values of the user's graph. */
  shape(name: string): Shape {
    const shape = this.shapes.get(name)
    if (!shape) throw new Error(`unreachable: the shape of ${name} is not known`)
    return shape
  }

  reshape(value: string, shape: Shape): string {
    return this.add('Reshape', [value, this.int64(shape)])
  }

  reduceSum(value: string, axes: readonly number[], keepdims: boolean): string {
    return this.add('ReduceSum', [value, this.int64(axes)], { keepdims: int(keepdims ? 1 : 0) })
  }

  sumAll(value: string): string {
    return this.add('ReduceSum', [value], { keepdims: int(0) })
  }

  sum(values: readonly string[]): string {
    const [only] = values
    return values.length === 1 && only !== undefined ? only : this.add('Sum', values)
  }

  cast(value: string, type: 'float32' | 'int64'): string {
    return this.add('Cast', [value], { to: int(type === 'float32' ? 1 : 7) })
  }
}
