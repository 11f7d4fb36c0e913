/*
 * How many channels ONNX Runtime's blocked layout has in a block on this processor: 8 or 16, or none where it has no
 * kernels for it.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema, NodeProtoSchema, OperatorSetIdProtoSchema } from 'onnx-buf'
import * as ort from 'onnxruntime-node'

import { writeGraph } from '../graph-proto.ts'
import { COMPILED_OPSET, IR_VERSION } from '../write.ts'
import { BLOCKED_DOMAIN } from './rewriting.ts'

/** As few as the runtime takes, and fewer than any block has. */
const CHANNELS = 4

let known: Promise<number | undefined> | undefined

/** Asked once a process. */
export function channelBlock(): Promise<number | undefined> {
  known ??= ask()
  return known
}

/** The runtime fills up the last block: the answer is in the shape of what it makes of a few channels. */
async function ask(): Promise<number | undefined> {
  const session = await ort.InferenceSession.create(question(), QUIET).catch(() => undefined)
  if (!session) return undefined
  try {
    const x = new ort.Tensor('float32', new Float32Array(CHANNELS), [1, CHANNELS, 1, 1])
    const block = (await session.run({ x }))['y']?.dims[1] ?? CHANNELS
    return block > CHANNELS ? block : undefined
  } catch {
    // Graphs run as they travel: slower, and otherwise the same.
    return undefined
  } finally {
    await session.release()
  }
}

const QUIET: ort.InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 4,
}

/** A model that lays out a few channels in blocks. */
function question(): Uint8Array {
  const x = { name: 'x', type: 'float32', shape: [1, CHANNELS, 1, 1] } as const
  const graph = writeGraph(
    { inputs: [x], outputs: [{ name: 'y' }], initializers: new Map(), nodes: [] },
    'block',
  )
  const node = { opType: 'ReorderInput', domain: BLOCKED_DOMAIN, input: ['x'], output: ['y'] }
  graph.node.push(create(NodeProtoSchema, node))
  const opsetImport = [
    { domain: '', version: BigInt(COMPILED_OPSET) },
    { domain: BLOCKED_DOMAIN, version: 1n },
  ].map((opset) => create(OperatorSetIdProtoSchema, opset))
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: IR_VERSION, opsetImport, graph }))
}
