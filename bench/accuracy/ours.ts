/*
 * Our side: the compiled training of each participant, and the merging engine.
 */
import { roundSeed } from '#edge-agent/train/seed.ts'
import { compileTraining, LocalTrainer, readModel } from '#federation/training/index.ts'

import { rowsOf } from '../digits.ts'
import { differenceOf, type LocalUpdate, merged } from '../merging.ts'
import { convolutionalNetwork, twoLayerNetwork } from '../models.ts'
import { CLIENTS, type Job, type Setting } from './job.ts'

const EVALUATION_BATCH = 200

interface OpenModel {
  readonly trainer: LocalTrainer
  /** The first parameters, in the order in which the layers come. */
  readonly parameters: Float32Array
}

export async function openModel({ model, batchSize }: Setting, seed: number): Promise<OpenModel> {
  const file = model === '2NN' ? twoLayerNetwork(seed) : convolutionalNetwork(seed)
  const compiled = await compileTraining(readModel(file), {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD' },
    batchSize,
    evaluationBatchSize: EVALUATION_BATCH,
  })
  const parameters = new Float32Array(Uint8Array.from(compiled.initialParameters).buffer)
  return { trainer: await LocalTrainer.load(compiled), parameters }
}

/** Accuracy on the test set after each round. */
export async function runOurs({ trainer, parameters: first }: OpenModel, job: Job): Promise<number[]> {
  const { setting, seed, digits, participants } = job
  const clients = Array.from({ length: CLIENTS }, (_, client) => rowsOf(digits, digits.clients[client] ?? []))
  const test = rowsOf(digits, digits.test)
  let parameters = first
  const accuracies: number[] = []
  for (const [index, chosen] of participants.entries()) {
    const updates: LocalUpdate[] = []
    for (const client of chosen) {
      const samples = clients[client]
      if (!samples) throw new Error(`unreachable: there is no client ${client}`)
      const { epochs, learningRate } = setting
      const participant = `client-${String(client).padStart(3, '0')}`
      const own = roundSeed(seed, index + 1, participant)
      const trained = await trainer.trainEpochs({ parameters, samples, epochs, learningRate, seed: own })
      const difference = differenceOf(trained.parameters, parameters)
      updates.push({ participant, samples: samples.count, difference })
    }
    parameters = await merged({ type: 'FedAvg' }, parameters, updates)
    accuracies.push((await trainer.evaluate({ parameters, samples: test })).metrics.accuracy ?? NaN)
  }
  return accuracies
}
