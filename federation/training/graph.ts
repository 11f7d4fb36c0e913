/*
 * A graph as plain values: what the reader makes of a file, what the compiler works on, and what is written
 * back. Names are unique and nodes are in an order in which they can run.
 */
/** float64 only occurs in constants that are computed when a graph is compiled. */
export type ElementType = 'float32' | 'float64' | 'int32' | 'int64' | 'bool'

export type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array

export interface TensorValue {
  type: ElementType
  shape: readonly number[]
  /** Row-major; bool as bytes 0 and 1. */
  data: TensorData
}

export type Attribute =
  | { kind: 'int'; value: number }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string }
  | { kind: 'ints'; value: readonly number[] }
  | { kind: 'floats'; value: readonly number[] }
  | { kind: 'strings'; value: readonly string[] }
  | { kind: 'tensor'; value: TensorValue }
  /** The body of a Loop or Scan, written by the compiler only: models from outside have none. */
  | { kind: 'graph'; value: Graph }

export type Attributes = Readonly<Record<string, Attribute>>

export interface Node {
  op: string
  /** For messages only; may be empty. */
  name: string
  /** '' stands for an optional input that is absent. */
  inputs: readonly string[]
  outputs: readonly string[]
  attributes: Attributes
}

/** A graph input or output; a dimension without a fixed size has its parameter's name, or ''. */
export interface ValueInfo {
  name: string
  type: ElementType
  shape: readonly (number | string)[]
}

export interface Graph {
  inputs: readonly ValueInfo[]
  /** Outputs may leave their type to be inferred. */
  outputs: readonly (ValueInfo | { name: string })[]
  initializers: ReadonlyMap<string, TensorValue>
  nodes: readonly Node[]
  /** Type and shape of values between, for whoever rewrites the file; not necessarily of all. */
  values?: readonly ValueInfo[]
}

export const int = (value: number): Attribute => ({ kind: 'int', value })
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value })
export const float = (value: number): Attribute => ({ kind: 'float', value })

/** Attribute readers give the operator's default where the attribute is absent. */
export function intOf(node: Node, attribute: string, otherwise: number): number {
  const found = node.attributes[attribute]
  return found?.kind === 'int' ? found.value : otherwise
}

export function floatOf(node: Node, attribute: string, otherwise: number): number {
  const found = node.attributes[attribute]
  return found?.kind === 'float' ? found.value : otherwise
}

export function stringOf(node: Node, attribute: string, otherwise: string): string {
  const found = node.attributes[attribute]
  return found?.kind === 'string' ? found.value : otherwise
}

export function intsOf(node: Node, attribute: string): readonly number[] | undefined {
  const found = node.attributes[attribute]
  return found?.kind === 'ints' ? found.value : undefined
}

export function int64Tensor(
  values: readonly number[],
  shape: readonly number[] = [values.length],
): TensorValue {
  return { type: 'int64', shape, data: BigInt64Array.from(values, BigInt) }
}

export function floatTensor(values: ArrayLike<number>, shape: readonly number[]): TensorValue {
  return { type: 'float32', shape, data: Float32Array.from(values) }
}

/** What a node reads: its inputs, and what the bodies in its attributes take from the graph around them. */
export function valuesRead(node: Node): Set<string> {
  const read = new Set(node.inputs)
  for (const attribute of Object.values(node.attributes)) {
    if (attribute.kind === 'graph') for (const name of valuesCaptured(attribute.value)) read.add(name)
  }
  return read
}

function valuesCaptured({ inputs, outputs, initializers, nodes }: Graph): Set<string> {
  const own = new Set([
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => node.outputs),
  ])
  const read = new Set([
    ...nodes.flatMap((node) => [...valuesRead(node)]),
    ...outputs.map(({ name }) => name),
  ])
  return read.difference(own)
}

/** Every name in a graph, those in the bodies of its nodes included. */
export function valuesOf({ inputs, initializers, nodes }: Graph): string[] {
  const bodies = nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((attribute) =>
      attribute.kind === 'graph' ? valuesOf(attribute.value) : [],
    ),
  )
  return [
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap(({ outputs }) => outputs),
    ...bodies,
  ]
}

/** The graph's nodes with other names for some values, also where the bodies in them read those. */
export function renamed(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const other = (name: string): string => names.get(name) ?? name
  const attribute = (value: Attribute): Attribute =>
    value.kind === 'graph' ? { kind: 'graph', value: renamed(value.value, names) } : value
  return {
    inputs: graph.inputs.map((info) => ({ ...info, name: other(info.name) })),
    outputs: graph.outputs.map((info) => ({ ...info, name: other(info.name) })),
    ...(graph.values && { values: graph.values.map((info) => ({ ...info, name: other(info.name) })) }),
    initializers: new Map([...graph.initializers].map(([name, value]) => [other(name), value])),
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(other),
      outputs: node.outputs.map(other),
      attributes: Object.fromEntries(
        Object.entries(node.attributes).map(([key, value]) => [key, attribute(value)]),
      ),
    })),
  }
}

/** How a message names a node: operator, name, and the first value it makes. */
export function describeNode(node: Node): string {
  const name = node.name === '' ? '' : ` ${quoted(node.name)}`
  return `${node.op}${name} (output ${quoted(node.outputs.find((output) => output !== '') ?? '')})`
}

/** Text from outside, made safe to show: bounded, and with control characters escaped. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
}
