/*
 * Typed arrays as the tensors that ONNX Runtime takes. Nothing is copied: a tensor shows what its array holds
 * when a graph runs.
 */
import { Tensor } from 'onnxruntime-node'

import { elementCount, type TrainingManifest } from './manifest.ts'
import type { Batch } from './samples.ts'

export type Tensors = Record<string, Tensor>

export function tensor(data: Float32Array | Int32Array | BigInt64Array, shape: readonly number[]): Tensor {
  if (data instanceof BigInt64Array) return new Tensor('int64', data, shape)
  return data instanceof Int32Array ? new Tensor('int32', data, shape) : new Tensor('float32', data, shape)
}

export function batchTensors(manifest: TrainingManifest, batch: Batch): Tensors {
  const rows = batch.weight.length
  return {
    [manifest.input.name]: tensor(batch.x, [rows, ...manifest.input.shape.slice(1)]),
    [manifest.label.name]: tensor(batch.y, [rows, ...manifest.label.shape.slice(1)]),
    [manifest.sampleWeight]: tensor(batch.weight, [rows]),
  }
}

/** The flat vector cut into the graphs' tensors, under the names of their inputs or of the step's outputs. */
export function parameterTensors(
  manifest: TrainingManifest,
  vector: Float32Array,
  key: 'name' | 'output',
): Tensors {
  const tensors: Tensors = {}
  for (const parameter of manifest.parameters) {
    const end = parameter.offset + elementCount(parameter.shape)
    tensors[parameter[key]] = tensor(vector.subarray(parameter.offset, end), parameter.shape)
  }
  return tensors
}
