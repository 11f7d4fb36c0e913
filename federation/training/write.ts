/*
 * Writes a plain graph as an ONNX file.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf'

import type { Graph, ValueInfo } from './graph.ts'
import { writeNode } from './node-proto.ts'
import { dataTypeOf, writeTensor } from './tensor-proto.ts'

/** The opset of compiled graphs, and the IR version that came with it. */
export const COMPILED_OPSET = 21
const IR_VERSION = 10n

export function writeModel(graph: Graph, name: string, opset: number): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'tributary',
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: create(GraphProtoSchema, {
      name,
      input: graph.inputs.map(writeValueInfo),
      output: graph.outputs.map(writeOutput),
      initializer: [...graph.initializers].map(([key, value]) => writeTensor(key, value)),
      node: graph.nodes.map(writeNode),
    }),
  })
  return toBinary(ModelProtoSchema, model)
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
