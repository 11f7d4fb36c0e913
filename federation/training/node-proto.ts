/*
 * ONNX NodeProto → plain nodes. Refuses operators outside the default domain and attributes of kinds that no
 * supported operator has.
 */
import { type AttributeProto, AttributeProto_AttributeType as Type, type NodeProto } from 'onnx-buf'

import { ModelError } from './errors.ts'
import { type Attribute, type Node, quoted } from './graph.ts'
import { readTensor, type TensorLimits } from './tensor-proto.ts'

const text = new TextDecoder()

export function readNode(proto: NodeProto, limits: TensorLimits): Node {
  const what = `node ${quoted(proto.name)} (${proto.opType})`
  if (proto.domain !== '' && proto.domain !== 'ai.onnx') {
    throw new ModelError(
      `${what} is of the domain ${quoted(proto.domain)}; only standard ONNX operators are supported`,
    )
  }
  // No prototype: an attribute may have any name.
  const attributes = Object.create(null) as Record<string, Attribute>
  for (const attribute of proto.attribute) {
    if (Object.hasOwn(attributes, attribute.name)) {
      throw new ModelError(`${what} has the attribute ${quoted(attribute.name)} twice`)
    }
    attributes[attribute.name] = readAttribute(attribute, what, limits)
  }
  const { name, opType: op, input: inputs, output: outputs } = proto
  return { op, name, inputs, outputs, attributes }
}

function readAttribute(proto: AttributeProto, node: string, limits: TensorLimits): Attribute {
  const what = `attribute ${quoted(proto.name)} of ${node}`
  switch (proto.type) {
    case Type.INT:
      return { kind: 'int', value: readInteger(proto.i) }
    case Type.FLOAT:
      return { kind: 'float', value: proto.f }
    case Type.STRING:
      return { kind: 'string', value: text.decode(proto.s) }
    case Type.INTS:
      return { kind: 'ints', value: proto.ints.map((value) => readInteger(value)) }
    case Type.FLOATS:
      return { kind: 'floats', value: proto.floats }
    case Type.STRINGS:
      return { kind: 'strings', value: proto.strings.map((value) => text.decode(value)) }
    case Type.TENSOR:
      if (proto.t) return { kind: 'tensor', value: readTensor(proto.t, what, limits) }
      throw new ModelError(`${what} holds no tensor`)
    default:
      throw new ModelError(`${what} is of the kind ${Type[proto.type]}, which is not supported`)
  }
}

/** Integers are kept within ±2^53: exporters write "to the end" as 2^63 - 1 or -2^63, which stay beyond any size. */
function readInteger(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  if (value > limit) return Number.MAX_SAFE_INTEGER
  return value < -limit ? -Number.MAX_SAFE_INTEGER : Number(value)
}
