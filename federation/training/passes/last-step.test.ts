import { describe, expect, it } from 'vitest'

import { compileTraining } from '../compile.ts'
import { type Attributes, int, int64Tensor, ints, type Node } from '../graph.ts'
import { readModel } from '../model.ts'
import { LocalTrainer } from '../session.ts'
import { modelBytes, node, someNumbers, weight, x } from '../testdata/models.ts'

import { type Known, lastSteps } from './last-step.ts'

const STEPS = 5
const string = (value: string) => ({ kind: 'string', value }) as const

interface Picking {
  op?: string
  layer?: Attributes
  directions?: number
  index?: number
  /** Names of the layer's outputs. */
  outputs?: string[]
  between?: Node[]
}

/** sequence → a layer of 3 units → Squeeze → Transpose to [batch, time, 3] → a step of it → y */
function picking({ op = 'LSTM', layer = {}, outputs = ['all'], between = [] }: Picking): Node[] {
  const attributes = { hidden_size: int(3), ...layer }
  return [
    node('Transpose', ['x'], 'sequence', { perm: ints([1, 0, 2]) }),
    { op, name: 'layer', inputs: ['sequence', 'w', 'r'], outputs, attributes },
    node('Squeeze', ['all', 'direction'], 'squeezed'),
    ...between,
    node('Transpose', [between.length === 0 ? 'squeezed' : 'same'], 'turned', { perm: ints([1, 0, 2]) }),
    node('Gather', ['turned', 'index'], 'y', { axis: int(1) }),
  ]
}

function known({ directions = 1, index = -1 }: Picking): Known {
  return {
    shapes: new Map([['all', [STEPS, directions, 2, 3]]]),
    constants: new Map([
      ['direction', int64Tensor([1])],
      ['index', int64Tensor([index], [])],
    ]),
  }
}

describe('picking the last step of a recurrent layer', () => {
  const reads = (given: Picking): Node | undefined =>
    lastSteps(picking(given), known(given), (base) => `${base}.new`).nodes.at(-1)
  const cases: { name: string; given: Picking; want: string[] }[] = [
    { name: 'reads its last state', given: {}, want: ['Flatten', 'last_state.new'] },
    { name: 'by its position', given: { index: STEPS - 1 }, want: ['Flatten', 'last_state.new'] },
    {
      name: 'under the name that it has',
      given: { op: 'GRU', outputs: ['all', 'h'] },
      want: ['Flatten', 'h'],
    },
    {
      name: 'where the last is the first in time',
      given: { op: 'RNN', layer: { direction: string('reverse') }, index: 0 },
      want: ['Flatten', 'last_state.new'],
    },
    {
      name: 'stays where it is not the last that the layer takes',
      given: { layer: { direction: string('reverse') } },
      want: ['Gather', 'turned'],
    },
    { name: 'stays where it is another step', given: { index: STEPS - 2 }, want: ['Gather', 'turned'] },
    {
      name: 'stays where the layer goes both ways',
      given: { layer: { direction: string('bidirectional') }, directions: 2 },
      want: ['Gather', 'turned'],
    },
    {
      name: 'stays where something is computed between',
      given: { between: [node('Tanh', ['squeezed'], 'same')] },
      want: ['Gather', 'turned'],
    },
  ]
  it.each(cases)('$name', ({ given, want }) => {
    const last = reads(given)
    expect([last?.op, last?.inputs[0]]).toEqual(want)
  })

  it('gives the layer the output and the output its shape', () => {
    const { nodes, shapes } = lastSteps(picking({}), known({}), (base) => `${base}.new`)
    expect(nodes[1]?.outputs).toEqual(['all', 'last_state.new'])
    expect(shapes).toEqual(new Map([['last_state.new', [1, 2, 3]]]))
  })

  it.each([
    { op: 'LSTM', gates: 4 },
    { op: 'GRU', gates: 3 },
    { op: 'RNN', gates: 1 },
  ])('trains $op to the same bits as picking it out of all steps', async ({ op, gates }) => {
    const trained = async (between: Node[]): Promise<unknown> => {
      const bytes = modelBytes({
        inputs: [x('batch', STEPS, 2)],
        nodes: picking({ op, between }),
        initializers: {
          w: weight(1, gates * 3, 2),
          r: weight(1, gates * 3, 3),
          direction: int64Tensor([1]),
          index: int64Tensor([-1], []),
        },
      })
      const compiled = await compileTraining(readModel(bytes), {
        loss: { type: 'MeanSquaredError' },
        optimizer: { type: 'SGD' },
        batchSize: 2,
      })
      const trainer = await LocalTrainer.load(compiled)
      const { parameters, epochLosses } = await trainer.trainEpochs({
        parameters: new Float32Array(compiled.initialParameters.buffer),
        samples: {
          x: Float32Array.from(someNumbers(4 * STEPS * 2, 3)),
          y: Float32Array.from(someNumbers(4 * 3, 5)),
          count: 4,
        },
        epochs: 2,
        learningRate: 0.1,
        seed: 1,
      })
      await trainer.close()
      return { parameters, epochLosses }
    }
    const unpicked = [node('Cast', ['squeezed'], 'same', { to: int(1) })]
    expect(await trained([])).toEqual(await trained(unpicked))
  })
})
