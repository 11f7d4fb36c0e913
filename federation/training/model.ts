/*
 * Reads an ONNX file from outside. What comes out is bounded in size, self-contained, acyclic, made of
 * operators of the default domain, and has unique and defined names; anything else is a ModelError that says
 * what is wrong. Which operators can be trained is the compiler's question, not the reader's.
 */
import { fromBinary } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema, type ValueInfoProto } from 'onnx-buf'

import { ModelError } from './errors.ts'
import { type Graph, quoted, type TensorValue, type ValueInfo } from './graph.ts'
import { readNode } from './node-proto.ts'
import { describeTensor, elementType, readTensor, type TensorLimits } from './tensor-proto.ts'
import { scanModel } from './wire-scan.ts'

export interface ModelLimits extends TensorLimits {
  bytes: number
  nodes: number
  initializers: number
  nameLength: number
  /** Numbers outside raw_data. */
  floats: number
  /** Protobuf fields and integers in lists. */
  tokens: number
}

export const DEFAULT_LIMITS: ModelLimits = {
  bytes: 256 * 2 ** 20,
  nodes: 20_000,
  initializers: 20_000,
  nameLength: 512,
  rank: 8,
  elements: 64 * 2 ** 20,
  floats: 16 * 2 ** 20,
  tokens: 2 * 2 ** 20,
}

export const OPSETS = { lowest: 13, highest: 24 }
const IR_VERSIONS = { lowest: 3, highest: 13 }

export interface Model extends Graph {
  opset: number
  /** Initializers that are no parameters where they came from, as far as the exporter says so. */
  buffers: ReadonlySet<string>
}

/** Decodes within the limits, and nothing more. */
export function decodeModel(bytes: Uint8Array, limits: ModelLimits = DEFAULT_LIMITS): ModelProto {
  if (bytes.length === 0) throw new ModelError('the model has 0 bytes; expected an ONNX file')
  if (bytes.length > limits.bytes) {
    throw new ModelError(`the model has ${bytes.length} bytes; the limit is ${limits.bytes}`)
  }
  scanModel(bytes, limits)
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false })
  } catch (error) {
    throw new ModelError(
      `the bytes are not an ONNX model: ${error instanceof Error ? error.message : 'unknown'}`,
    )
  }
}

export function readModel(bytes: Uint8Array, limits: Partial<ModelLimits> = {}): Model {
  const all = { ...DEFAULT_LIMITS, ...limits }
  const proto = decodeModel(bytes, all)
  const opset = readVersions(proto)
  const { graph } = proto
  if (!graph) throw new ModelError('the model has no graph; expected an ONNX inference model')
  checkCount('nodes', graph.node.length, all.nodes)
  checkCount('initializers', graph.initializer.length, all.initializers)

  const initializers = new Map<string, TensorValue>()
  for (const tensor of graph.initializer) {
    checkName(tensor.name, 'an initializer', all)
    if (initializers.has(tensor.name)) {
      throw new ModelError(`${describeTensor(tensor.name)} occurs twice; names are unique`)
    }
    initializers.set(tensor.name, readTensor(tensor, describeTensor(tensor.name), all))
  }
  // Old exporters list initializers among the inputs as well: those are not inputs.
  const inputs = graph.input.filter(({ name }) => !initializers.has(name))
  const model: Model = {
    opset,
    inputs: inputs.map((info) => readValueInfo(info, 'input', all)),
    outputs: graph.output.map(({ name }) => ({ name })),
    initializers,
    nodes: graph.node.map((node) => readNode(node, all)),
    buffers: buffersOf(graph.valueInfo),
  }
  checkNames(model, all)
  return model
}

function readVersions(proto: ModelProto): number {
  const ir = Number(proto.irVersion)
  if (ir < IR_VERSIONS.lowest || ir > IR_VERSIONS.highest) {
    throw new ModelError(`ir_version is ${ir}; supported are ${IR_VERSIONS.lowest} to ${IR_VERSIONS.highest}`)
  }
  const imported = proto.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')
  const opset = Number(imported?.version ?? 0n)
  if (opset < OPSETS.lowest || opset > OPSETS.highest) {
    const found = imported ? `opset is ${opset}` : 'opset_import does not name the default domain'
    throw new ModelError(`${found}; supported are opsets ${OPSETS.lowest} to ${OPSETS.highest}`)
  }
  return opset
}

/** PyTorch's exporter notes of each initializer whether it was a module's parameter or one of its buffers. */
function buffersOf(infos: readonly ValueInfoProto[]): Set<string> {
  const isBuffer = ({ metadataProps }: ValueInfoProto): boolean =>
    metadataProps.some(
      ({ key, value }) => key === 'pkg.torch.export.graph_signature.InputSpec.kind' && value === 'BUFFER',
    )
  return new Set(infos.filter(isBuffer).map(({ name }) => name))
}

function readValueInfo(info: ValueInfoProto, role: string, limits: ModelLimits): ValueInfo {
  checkName(info.name, `an ${role}`, limits)
  const what = `${role} ${quoted(info.name)}`
  const type = info.type?.value
  if (type?.case !== 'tensorType') throw new ModelError(`${what} is not a tensor; only tensors are supported`)
  if (!type.value.shape) throw new ModelError(`${what} has no shape; export with a shape, batch first`)
  const { dim } = type.value.shape
  if (dim.length > limits.rank) {
    throw new ModelError(`${what} has ${dim.length} dimensions; the limit is ${limits.rank}`)
  }
  const shape = dim.map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : (value.value ?? ''),
  )
  return { name: info.name, type: elementType(type.value.elemType, what), shape }
}

/** Every value has one definition, and it comes before its uses. */
function checkNames(model: Model, limits: ModelLimits): void {
  const defined = new Set<string>(model.initializers.keys())
  const define = (name: string, what: string): void => {
    checkName(name, what, limits)
    if (defined.has(name)) throw new ModelError(`value ${quoted(name)} is defined twice (again by ${what})`)
    defined.add(name)
  }
  for (const { name } of model.inputs) define(name, 'a graph input')
  for (const node of model.nodes) {
    const what = `node ${quoted(node.name)} (${node.op})`
    for (const input of node.inputs) {
      if (input !== '' && !defined.has(input)) {
        throw new ModelError(`${what} uses ${quoted(input)}, which nothing before it defines`)
      }
    }
    for (const output of node.outputs) if (output !== '') define(output, what)
  }
  for (const { name } of model.outputs) {
    if (!defined.has(name)) throw new ModelError(`graph output ${quoted(name)} is defined by no node`)
  }
}

function checkName(name: string, what: string, limits: ModelLimits): void {
  if (name === '') throw new ModelError(`${what} has an empty name`)
  if (name.length > limits.nameLength) {
    throw new ModelError(`${what} has a name of ${name.length} characters; the limit is ${limits.nameLength}`)
  }
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) throw new ModelError(`the model has ${count} ${what}; the limit is ${limit}`)
}
