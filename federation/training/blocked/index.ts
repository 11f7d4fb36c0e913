/*
 * Fits a compiled graph to the machine that runs it: convolutions get ONNX Runtime's direct kernels, which work on
 * blocks of channels (NCHWc), and which the runtime itself takes only where weights are constant. How many channels a
 * block has depends on the processor, so this happens where a graph is loaded; the file that travels is made of
 * standard operators only. Results agree to float32 accuracy, and are the same each time on the same machine.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type GraphProto, ModelProtoSchema, OperatorSetIdProtoSchema } from 'onnx-buf'

import { channelBlock } from './block-size.ts'
import { withBlockedConvolutions } from './convolution.ts'
import { BLOCKED_DOMAIN } from './rewriting.ts'

/** The ONNX file for this machine; the same bytes where nothing is gained. */
export async function fittedToMachine(file: Uint8Array): Promise<Uint8Array> {
  const model = fromBinary(ModelProtoSchema, file)
  if (!model.graph || !hasConvolution(model.graph)) return file
  const block = await channelBlock()
  if (block === undefined || !withBlockedConvolutions(model.graph, block)) return file
  model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: BLOCKED_DOMAIN, version: 1n }))
  return toBinary(ModelProtoSchema, model)
}

function hasConvolution({ node }: GraphProto): boolean {
  return node.some(({ opType, attribute }) => {
    return opType === 'Conv' || attribute.some(({ g }) => g !== undefined && hasConvolution(g))
  })
}
