/*
 * A decoded ONNX graph while its nodes are replaced: the new nodes in order, names that are new, small constants stored
 * once, and the shapes that the file tells.
 */
import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
} from 'onnx-buf'

import type { Shape } from '../builder.ts'
import { ints, int64Tensor } from '../graph.ts'
import { writeAttributes } from '../graph-proto.ts'
import { writeTensor } from '../tensor-proto.ts'

/** ONNX Runtime's own operators on blocks of channels. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc'

export interface Added {
  op: string
  domain?: string
  inputs: readonly string[]
  attributes?: readonly AttributeProto[]
}

export class Rewriting {
  readonly nodes: NodeProto[] = []
  private readonly graph: GraphProto
  private readonly taken: Set<string>
  private readonly shapes: Map<string, Shape>
  private readonly constants = new Map<string, string>()
  private readonly reshaped: ReadonlyMap<string, string>

  /** @param taken names that are in use in any graph of the file; new ones are added to it */
  constructor(graph: GraphProto, taken: Set<string>) {
    this.graph = graph
    this.taken = taken
    this.shapes = shapesIn(graph)
    this.reshaped = new Map(
      graph.node
        .filter(({ opType }) => opType === 'Reshape')
        .map(({ input, output }) => [output[0] ?? '', input[0] ?? '']),
    )
  }

  /** Of a value of the file, if the file tells it. */
  shape(name: string): Shape | undefined {
    return this.shapes.get(name)
  }

  /** What a value of the file is another shape of. */
  source(name: string): string | undefined {
    return this.reshaped.get(name)
  }

  /** Adds a node; returns its output, which has the name given or a new one. */
  add({ op, domain = '', inputs, attributes = [] }: Added, output = this.fresh(op)): string {
    const node = { opType: op, domain, input: [...inputs], output: [output], attribute: [...attributes] }
    this.nodes.push(create(NodeProtoSchema, node))
    return output
  }

  reshape(value: string, shape: Shape): string {
    return this.add({ op: 'Reshape', inputs: [value, this.int64(shape)] })
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.add({ op: 'Transpose', inputs: [value], attributes: writeAttributes({ perm: ints(perm) }) })
  }

  /** The graph has the new nodes from here on. */
  finish(): void {
    this.graph.node = this.nodes
  }

  private int64(values: readonly number[]): string {
    const key = values.join()
    const known = this.constants.get(key)
    if (known !== undefined) return known
    const name = this.fresh('constant')
    this.graph.initializer.push(writeTensor(name, int64Tensor(values)))
    this.constants.set(key, name)
    return name
  }

  private fresh(base: string): string {
    let name = `${base}.blocked`
    for (let i = 2; this.taken.has(name); i++) name = `${base}.blocked.${i}`
    this.taken.add(name)
    return name
  }
}

/** Every name in a graph, those in the bodies of its nodes included. */
export function namesIn(graph: GraphProto): string[] {
  return [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output, attribute }) => [
      ...output,
      ...attribute.flatMap(({ g }) => (g ? namesIn(g) : [])),
    ]),
  ]
}

function shapesIn({ input, output, valueInfo, initializer }: GraphProto): Map<string, Shape> {
  const told = [...input, ...output, ...valueInfo].map((info) => [info.name, shapeOf(info)] as const)
  const known = told.filter((entry): entry is [string, Shape] => entry[1] !== undefined)
  return new Map([...known, ...initializer.map(({ name, dims }) => [name, dims.map(Number)] as const)])
}

/** Undefined where the file does not tell it, or leaves a dimension open. */
function shapeOf({ type }: ValueInfoProto): Shape | undefined {
  const dimensions = type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined
  const sizes = dimensions?.map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : -1))
  return sizes?.includes(-1) ? undefined : sizes
}
