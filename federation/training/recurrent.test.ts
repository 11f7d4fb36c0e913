import { describe, expect, it } from 'vitest'

import { assertTrainable, compileTraining } from './compile.ts'
import { ModelError } from './errors.ts'
import { type Attributes, int, type Node, type TensorValue } from './graph.ts'
import { readModel } from './model.ts'
import { modelBytes, type ModelParts, node, weight, x } from './testdata/models.ts'

/** x [batch, steps · 2] → one of LSTM, GRU and RNN with 3 units → its last state → y [batch, 3] */
function model(
  op: string,
  steps: number,
  how: { attributes?: Attributes; inputs?: Inputs } = {},
): ModelParts {
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op] ?? 1
  const names = ['sequence', 'w', 'r', 'b', ...Object.keys(how.inputs ?? {})]
  const recurrent: Node = {
    op,
    name: 'cell',
    inputs: names.map((name) => (name.startsWith('absent') ? '' : name)),
    outputs: ['', 'last'],
    attributes: { hidden_size: int(3), ...how.attributes },
  }
  const present = Object.entries(how.inputs ?? {}).filter(([name]) => !name.startsWith('absent'))
  return {
    inputs: [x('batch', steps, 2)],
    nodes: [
      node('Transpose', ['x'], 'sequence', { perm: { kind: 'ints', value: [1, 0, 2] } }),
      recurrent,
      node('Reshape', ['last', 'shape'], 'y'),
    ],
    initializers: {
      w: weight(1, gates * 3, 2),
      r: weight(1, gates * 3, 3),
      b: weight(1, gates * 6),
      shape: { type: 'int64', shape: [2], data: BigInt64Array.of(-1n, 3n) },
      ...Object.fromEntries(present),
    },
  }
}

type Inputs = Record<string, TensorValue>

const lengths = (...values: number[]): TensorValue => {
  return { type: 'int32', shape: [values.length], data: Int32Array.from(values) }
}

const CONFIGURATION = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD' },
  batchSize: 2,
} as const

describe('a recurrent layer is refused', () => {
  const strings = (...value: string[]) => ({ kind: 'strings', value }) as const
  const refused: { name: string; op: string; attributes?: Attributes; inputs?: Inputs; want: RegExp }[] = [
    {
      name: 'with peepholes',
      op: 'LSTM',
      inputs: { absent4: lengths(), absent5: lengths(), absent6: lengths(), p: weight(1, 9) },
      want: /LSTM "cell" .*: it has peepholes \(input P\); only cells without are supported/,
    },
    {
      name: 'with a limit of its activations',
      op: 'GRU',
      attributes: { clip: { kind: 'float', value: 3 } },
      want: /it has clip; it must be absent/,
    },
    {
      name: 'with the batch first',
      op: 'RNN',
      attributes: { layout: int(1) },
      want: /its layout is 1; only 0 \(time first\) is supported/,
    },
    {
      name: 'with coupled gates',
      op: 'LSTM',
      attributes: { input_forget: int(1) },
      want: /its input_forget is 1; only 0 is supported/,
    },
    {
      name: 'with other activations',
      op: 'RNN',
      attributes: { activations: strings('Relu') },
      want: /its activations are Relu; supported are tanh/,
    },
  ]
  it.each(refused)('$name', ({ op, attributes = {}, inputs = {}, want }) => {
    const refusal = (): void => {
      assertTrainable(readModel(modelBytes(model(op, 4, { attributes, inputs }))))
    }
    expect(refusal).toThrow(ModelError)
    expect(refusal).toThrow(want)
  })

  it('with sequences that are shorter than the input', async () => {
    const bytes = modelBytes(model('GRU', 4, { inputs: { lengths: lengths(4, 3) } }))
    const refusal = compileTraining(readModel(bytes), CONFIGURATION)
    await expect(refusal).rejects.toThrow(
      'GRU "cell" (output "last"): its sequence_lens are not all 4; only sequences as long as the input are supported',
    )
  })
})

describe('a recurrent layer', () => {
  it.each(['LSTM', 'GRU', 'RNN'])('%s may name the activations that it has anyway', (op) => {
    const usual = { LSTM: ['Sigmoid', 'Tanh', 'Tanh'], GRU: ['Sigmoid', 'Tanh'], RNN: ['Tanh'] }[op] ?? []
    const attributes = { activations: { kind: 'strings', value: usual } } as const
    expect(() => {
      assertTrainable(readModel(modelBytes(model(op, 4, { attributes }))))
    }).not.toThrow()
  })

  it('learns W, R and B, and not its initial state', async () => {
    const inputs = { absent4: lengths(), h: weight(1, 2, 3) }
    const { manifest } = await compileTraining(
      readModel(modelBytes(model('GRU', 4, { inputs }))),
      CONFIGURATION,
    )
    expect(manifest.parameters.map(({ name, trainable }) => ({ name, trainable }))).toEqual([
      { name: 'w', trainable: true },
      { name: 'r', trainable: true },
      { name: 'b', trainable: true },
    ])
  })

  it.each(['LSTM', 'GRU', 'RNN'])(
    '%s compiles to a graph that does not grow with a long sequence',
    async (op) => {
      const sizeOf = async (steps: number): Promise<number> => {
        const compiled = await compileTraining(readModel(modelBytes(model(op, steps))), CONFIGURATION)
        return compiled.trainingStep.length
      }
      const [hundred, thousand] = [await sizeOf(100), await sizeOf(1000)]
      expect(Math.abs(thousand - hundred)).toBeLessThan(500)
      expect(hundred).toBeLessThan(30_000)
    },
  )
})
