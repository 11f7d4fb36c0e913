import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { Objective } from './configuration.ts'
import type { Constants } from './constants.ts'
import type { TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { LocalTrainer } from './session.ts'
import { MLP, modelBytes, someNumbers } from './testdata/models.ts'

async function loaded(objective: Objective, frozen?: string[]) {
  const compiled = await compileTraining(readModel(modelBytes(MLP)), {
    loss: { type: 'MeanSquaredError' },
    optimizer: { type: 'SGD' },
    objective,
    batchSize: 4,
    ...(frozen && { frozen }),
  })
  const trainer = await LocalTrainer.load(compiled)
  const parameters = new Float32Array(compiled.initialParameters.buffer)
  const samples = {
    x: Float32Array.from(someNumbers(12)),
    y: Float32Array.from(someNumbers(8)),
    count: 4,
  }
  const train = (constants?: Constants) =>
    trainer.trainEpochs({
      parameters,
      samples,
      epochs: 1,
      learningRate: 0.1,
      seed: 1,
      ...(constants && { constants }),
    })
  return { manifest: compiled.manifest, parameters, train }
}

const rolesOf = ({ constants }: TrainingManifest) =>
  constants.map(({ role, parameter }) => `${role} ${parameter}`)

describe('the constants of a local objective', () => {
  it('are one for each parameter that learns', async () => {
    const { manifest } = await loaded({ type: 'Proximal', mu: 1 }, ['w1', 'b2'])
    expect(rolesOf(manifest)).toEqual(['reference b1', 'reference w2'])
    expect(manifest.trainableCount).toBe(12)
  })

  it('are none when the loss alone is minimised', async () => {
    const { manifest } = await loaded({ type: 'Plain' })
    expect(manifest.constants).toEqual([])
  })

  it('pull a parameter as far as it is away from its reference', async () => {
    const plain = await loaded({ type: 'Plain' })
    const pulled = await loaded({ type: 'Proximal', mu: 0.5 })
    const start = plain.parameters
    const reference = Float32Array.from(someNumbers(start.length, 3))
    const [without, withTerm] = [await plain.train(), await pulled.train({ reference })]
    for (const [index, value] of withTerm.parameters.entries()) {
      const distance = start[index]! - reference[index]!
      expect(value).toBeCloseTo(without.parameters[index]! - 0.1 * 0.5 * distance, 5)
    }
  })

  const refused: { name: string; objective: Objective; constants?: Constants; want: string }[] = [
    {
      name: 'when one is missing',
      objective: { type: 'Scaffold' },
      constants: { serverControl: new Float32Array(26) },
      want: 'constants.clientControl is missing; objective Scaffold needs 26 elements',
    },
    {
      name: 'when none is given',
      objective: { type: 'FedDyn', alpha: 1 },
      want: 'constants.reference is missing; objective FedDyn needs 26 elements',
    },
    {
      name: 'when one is not used',
      objective: { type: 'Plain' },
      constants: { reference: new Float32Array(26) },
      want: 'constants.reference was given, but objective Plain does not use it',
    },
    {
      name: 'when one has another length',
      objective: { type: 'Proximal', mu: 1 },
      constants: { reference: new Float32Array(25) },
      want: 'constants.reference has 25 elements, expected 26',
    },
  ]
  it.each(refused)('are refused $name', async ({ objective, constants, want }) => {
    const { train } = await loaded(objective)
    await expect(train(constants)).rejects.toThrow(want)
  })
})
