/*
 * Writes a plain graph as an ONNX file.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from 'onnx-buf'

import type { Graph } from './graph.ts'
import { writeGraph } from './graph-proto.ts'

/** The opset of compiled graphs, and the IR version that came with it. */
export const COMPILED_OPSET = 21
export const IR_VERSION = 10n

export function writeModel(graph: Graph, name: string, opset: number): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'tributary',
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: writeGraph(graph, name),
  })
  return toBinary(ModelProtoSchema, model)
}
