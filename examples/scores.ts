/*
 * Judges a trained model as anybody would who got the ONNX file: run it on the test set and count.
 */
import * as ort from 'onnxruntime-node'

import type { Samples } from '#federation/training/index.ts'

export interface Scores {
  readonly accuracy: number
  /** Mean over the classes of the part of their samples that were found. */
  readonly balancedAccuracy: number
  /** Mean over the classes of the harmonic mean of precision and recall; 0 for a class that is never predicted. */
  readonly macroF1: number
}

const BATCH = 500

/** The class with the highest output for each sample. */
export async function predict(
  model: Uint8Array,
  samples: Samples,
  sampleShape: readonly number[],
): Promise<Int32Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]]
  const size = samples.x.length / samples.count
  const predicted = new Int32Array(samples.count)
  for (let first = 0; first < samples.count; first += BATCH) {
    const rows = Math.min(BATCH, samples.count - first)
    const x = samples.x.slice(first * size, (first + rows) * size)
    const outputs = await session.run({ [input]: new ort.Tensor('float32', x, [rows, ...sampleShape]) })
    const values = outputs[output]?.data as Float32Array
    const classes = values.length / rows
    for (let row = 0; row < rows; row++) {
      predicted[first + row] = indexOfHighest(values.subarray(row * classes, (row + 1) * classes))
    }
  }
  await session.release()
  return predicted
}

export function scoresOf(samples: Samples, predicted: Int32Array): Scores {
  const classes = [...new Set(samples.y)]
  const perClass = classes.map((label) => ({ label, found: 0, predicted: 0, actual: 0 }))
  let correct = 0
  for (const [index, actual] of samples.y.entries()) {
    const guess = predicted[index]
    if (guess === actual) correct += 1
    for (const one of perClass) {
      if (actual === one.label) one.actual += 1
      if (guess === one.label) one.predicted += 1
      if (guess === one.label && actual === one.label) one.found += 1
    }
  }
  return {
    accuracy: correct / samples.count,
    balancedAccuracy: mean(perClass.map((one) => one.found / one.actual)),
    macroF1: mean(perClass.map((one) => (2 * one.found) / (one.predicted + one.actual))),
  }
}

function indexOfHighest(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? -Infinity) ? index : best), 0)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
