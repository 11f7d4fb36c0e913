/*
 * Plain graphs → ONNX GraphProto, with their nodes and attributes. An attribute may hold a graph in turn: the body
 * of a Loop or a Scan.
 */
import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf'

import type { Attribute, Attributes, Graph, Node, ValueInfo } from './graph.ts'
import { dataTypeOf, writeTensor } from './tensor-proto.ts'

const utf8 = new TextEncoder()

export function writeGraph(graph: Graph, name: string): GraphProto {
  return create(GraphProtoSchema, {
    name,
    input: graph.inputs.map(writeValueInfo),
    output: graph.outputs.map(writeOutput),
    valueInfo: (graph.values ?? []).map(writeValueInfo),
    initializer: [...graph.initializers].map(([key, value]) => writeTensor(key, value)),
    node: withoutRepeatedNames(graph.nodes).map(writeNode),
  })
}

/** A node's name may be empty, but not that of another: ONNX Runtime refuses some such graphs. */
function withoutRepeatedNames(nodes: readonly Node[]): Node[] {
  const taken = new Set<string>()
  return nodes.map((node) => {
    if (taken.has(node.name)) return { ...node, name: '' }
    taken.add(node.name)
    return node
  })
}

function writeNode({ op, name, inputs, outputs, attributes }: Node): NodeProto {
  return create(NodeProtoSchema, {
    opType: op,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: writeAttributes(attributes),
  })
}

export function writeAttributes(attributes: Attributes): AttributeProto[] {
  return Object.entries(attributes).map(([key, attribute]) => writeAttribute(key, attribute))
}

function writeAttribute(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.kind) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(attribute.value) })
    case 'float':
      return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: attribute.value })
    case 'string':
      return create(AttributeProtoSchema, { name, type: Type.STRING, s: utf8.encode(attribute.value) })
    case 'ints':
      return create(AttributeProtoSchema, { name, type: Type.INTS, ints: attribute.value.map(BigInt) })
    case 'floats':
      return create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: [...attribute.value] })
    case 'strings':
      return create(AttributeProtoSchema, {
        name,
        type: Type.STRINGS,
        strings: attribute.value.map((value) => utf8.encode(value)),
      })
    case 'tensor':
      return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: writeTensor('', attribute.value) })
    case 'graph':
      return create(AttributeProtoSchema, { name, type: Type.GRAPH, g: writeGraph(attribute.value, name) })
  }
}

function writeOutput(output: ValueInfo | { name: string }): ValueInfoProto {
  return 'type' in output ? writeValueInfo(output) : create(ValueInfoProtoSchema, { name: output.name })
}

function writeValueInfo({ name, type, shape }: ValueInfo): ValueInfoProto {
  const dim = shape.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'number'
          ? { case: 'dimValue', value: BigInt(size) }
          : { case: 'dimParam', value: size },
    }),
  )
  const tensorType = create(TypeProto_TensorSchema, {
    elemType: dataTypeOf(type),
    shape: create(TensorShapeProtoSchema, { dim }),
  })
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  })
}
