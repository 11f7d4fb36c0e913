/*
 * Writes trained parameters back into the user's model: the graph stays the user's, only initializers change,
 * and what the exporter left in training mode (BatchNormalization, Dropout) is put in inference mode. The file
 * is self-contained and loads wherever the user's model loads.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { type GraphProto, ModelProtoSchema, type NodeProto, TensorProtoSchema } from 'onnx-buf'

import { ModelError } from './errors.ts'
import { elementCount, type Parameter, type TrainingManifest } from './manifest.ts'
import { decodeModel } from './model.ts'
import { firstNotFinite } from './samples.ts'
import { describeTensor, writeTensor } from './tensor-proto.ts'

/**
 * @param original the ONNX file that was compiled
 * @param parameters the flat vector, float32 little-endian, in manifest order
 */
export function publishModel(
  original: Uint8Array,
  manifest: TrainingManifest,
  parameters: Uint8Array,
): Uint8Array {
  const vector = readVector(parameters, manifest)
  const model = decodeModel(original)
  const { graph } = model
  if (!graph) throw new ModelError('the model has no graph; expected the ONNX file that was compiled')
  for (const parameter of manifest.parameters) {
    const end = parameter.offset + elementCount(parameter.shape)
    writeParameter(graph, parameter, vector.subarray(parameter.offset, end))
  }
  putInInferenceMode(graph)
  dropUnusedInitializers(graph, manifest)
  return toBinary(ModelProtoSchema, model)
}

function readVector(parameters: Uint8Array, manifest: TrainingManifest): Float32Array {
  if (parameters.byteLength !== manifest.parameterCount * 4) {
    throw new ModelError(
      `parameters have ${parameters.byteLength} bytes; the manifest's ${manifest.parameterCount} elements ` +
        `need ${manifest.parameterCount * 4}`,
    )
  }
  const vector = new Float32Array(Uint8Array.from(parameters).buffer)
  const at = firstNotFinite(vector)
  if (at >= 0) throw new ModelError(`parameters: element ${at} is ${vector[at]}; expected finite numbers`)
  return vector
}

function writeParameter(graph: GraphProto, parameter: Parameter, data: Float32Array): void {
  const { initializer, name, shape, uses } = parameter
  const index = graph.initializer.findIndex((tensor) => tensor.name === initializer)
  const found = graph.initializer[index]
  if (found?.dims.map(Number).join() !== shape.join()) {
    throw new ModelError(
      `${describeTensor(initializer)} of shape [${shape.join(', ')}] is not in this model: it is not the file that ` +
        'was compiled',
    )
  }
  const tensor = writeTensor(name, { type: 'float32', shape, data })
  if (!uses) {
    graph.initializer[index] = create(TensorProtoSchema, { ...tensor, docString: found.docString })
    return
  }
  graph.initializer.push(tensor)
  for (const use of uses) {
    const node = graph.node[use.node]
    if (node?.input[use.input] === undefined) {
      throw new ModelError(
        `node ${use.node} of the model has no input ${use.input}: it is not the file that was compiled`,
      )
    }
    node.input[use.input] = name
  }
}

function putInInferenceMode(graph: GraphProto): void {
  for (const node of graph.node) {
    if (node.opType === 'BatchNormalization') {
      node.attribute = node.attribute.filter(({ name }) => name !== 'training_mode')
      node.output.splice(1)
    }
    // Without its third input, training_mode, Dropout passes its input on.
    if (node.opType === 'Dropout') dropInputs(graph, node, 2)
  }
}

/** Also drops the constants that only these inputs used. */
function dropInputs(graph: GraphProto, node: NodeProto, first: number): void {
  const dropped = new Set(node.input.splice(first).filter((name) => name !== ''))
  const used = new Set(graph.node.flatMap(({ input }) => input))
  const isUnused = (name: string): boolean => dropped.has(name) && !used.has(name)
  graph.node = graph.node.filter(({ output }) => !output.some(isUnused))
  graph.initializer = graph.initializer.filter(({ name }) => !isUnused(name))
}

/** A separated initializer may have no use left; Identity nodes that shared it still name it. */
function dropUnusedInitializers(graph: GraphProto, manifest: TrainingManifest): void {
  const separated = new Set(
    manifest.parameters.filter(({ uses }) => uses).map(({ initializer }) => initializer),
  )
  const used = new Set(graph.node.flatMap(({ input }) => input))
  graph.initializer = graph.initializer.filter(({ name }) => !separated.has(name) || used.has(name))
  graph.input = graph.input.filter(({ name }) => !separated.has(name) || used.has(name))
}
