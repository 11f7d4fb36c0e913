import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { readModel } from './model.ts'
import { reportModel } from './report.ts'

const CNN = readModel(readFileSync(new URL('testdata/cnn.onnx', import.meta.url)))

describe('the report of a model', () => {
  it('counts operators and parameters', () => {
    const report = reportModel(CNN)
    expect(report.operators).toMatchObject({ Conv: 2, BatchNormalization: 2, Gemm: 1 })
    expect(report.tensors.filter(({ role }) => role === 'state').map(({ name }) => name)).toEqual([
      '1.running_mean',
      '1.running_var',
      '5.running_mean',
      '5.running_var',
    ])
    // Two convolutions 60 + 550, two scales and biases 12 + 20, a dense layer 164; statistics 12 + 20.
    expect(report).toMatchObject({ trainableCount: 806, parameterCount: 838 })
  })

  it('shows what is frozen as constant', () => {
    const { tensors } = reportModel(CNN, ['0.*'])
    const constants = tensors.filter(({ role }) => role === 'constant').map(({ name }) => name)
    expect(constants).toEqual(['0.weight', '0.bias'])
  })
})
