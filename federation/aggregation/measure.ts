// The first pass of strategies that compare updates: norms or inner products, added slice by slice in float64 so that the
// result depends on neither the slices' length nor the number of updates in memory.
import type { Kernels } from './kernels.ts'
import type { Rows } from './rows.ts'
import { measuringSlice, slicesOf } from './slices.ts'
import type { Geometry } from './strategy.ts'

export interface Measurement {
  readonly rows: Rows
  readonly updates: number
  readonly parameterCount: number
  readonly trainableCount: number
  readonly kernels: Kernels
  readonly memoryBytes: number
}

export async function measure(geometry: Geometry, measurement: Measurement): Promise<Float64Array> {
  switch (geometry) {
    case 'None':
      return new Float64Array(0)
    case 'Norms':
      return squaredNorms(measurement)
    case 'Pairs':
      return innerProducts(measurement)
  }
}

async function squaredNorms(measurement: Measurement): Promise<Float64Array> {
  const { rows, updates, trainableCount, kernels, memoryBytes } = measurement
  const norms = new Float64Array(updates)
  const longest = measuringSlice(1, { length: trainableCount, memoryBytes })
  for (let index = 0; index < updates; index++) {
    const alone = [index]
    for (const slice of slicesOf(0, trainableCount, longest)) {
      kernels.addGram(norms.subarray(index, index + 1), await rows.read(alone, slice))
    }
  }
  return norms
}

async function innerProducts(measurement: Measurement): Promise<Float64Array> {
  const { rows, updates, parameterCount, kernels, memoryBytes } = measurement
  const gram = new Float64Array(updates * updates)
  const all = Array.from({ length: updates }, (_, index) => index)
  const longest = measuringSlice(updates, { length: parameterCount, memoryBytes })
  for (const slice of slicesOf(0, parameterCount, longest)) {
    kernels.addGram(gram, await rows.read(all, slice))
  }
  return gram
}
