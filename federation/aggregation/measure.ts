// The first pass of strategies that compare updates: norms or inner products, added slice by slice in float64 so that the
// result depends on neither the slices' length nor the number of updates in memory.
import type { Kernels } from './kernels.ts'
import type { Sources } from './reader.ts'
import { measuringSlice, slicesOf } from './slices.ts'
import type { Geometry } from './strategy.ts'

export interface Measurement {
  readonly geometry: Geometry
  readonly sources: Sources
  readonly updates: number
  readonly parameterCount: number
  readonly trainableCount: number
  readonly kernels: Kernels
  readonly memoryBytes: number
  readonly signal: AbortSignal | undefined
}

export async function measure(measurement: Measurement): Promise<Float64Array> {
  switch (measurement.geometry) {
    case 'None':
      return new Float64Array(0)
    case 'Norms':
      return squaredNorms(measurement)
    case 'Pairs':
      return innerProducts(measurement)
  }
}

async function squaredNorms(measurement: Measurement): Promise<Float64Array> {
  const { sources, updates, trainableCount, kernels, memoryBytes, signal } = measurement
  const norms = new Float64Array(updates)
  const longest = measuringSlice(1, { length: trainableCount, memoryBytes })
  const buffer = new Float32Array(longest)
  for (let index = 0; index < updates; index++) {
    for (const { start, length } of slicesOf(0, trainableCount, longest)) {
      signal?.throwIfAborted()
      const values = buffer.subarray(0, length)
      await sources.read(index, start, values)
      kernels.addGram(norms.subarray(index, index + 1), [values])
    }
  }
  return norms
}

async function innerProducts(measurement: Measurement): Promise<Float64Array> {
  const { sources, updates, parameterCount, kernels, memoryBytes, signal } = measurement
  const gram = new Float64Array(updates * updates)
  const longest = measuringSlice(updates, { length: parameterCount, memoryBytes })
  const buffers = Array.from({ length: updates }, () => new Float32Array(longest))
  for (const { start, length } of slicesOf(0, parameterCount, longest)) {
    const values = buffers.map((buffer) => buffer.subarray(0, length))
    for (const [index, into] of values.entries()) {
      signal?.throwIfAborted()
      await sources.read(index, start, into)
    }
    kernels.addGram(gram, values)
  }
  return gram
}
