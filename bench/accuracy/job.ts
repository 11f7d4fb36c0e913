/*
 * A federated training that both sides of the accuracy benchmark carry out: the same split, the same participants in
 * each round and the same first parameters, written down so that the other side can read them.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { Random } from '#federation/training/random.ts'

import { type Digits, type Distribution, readDigits } from '../digits.ts'

const PEER = join(import.meta.dirname, 'flower_torch.py')
const PARTICIPANTS_STREAM = 3

/** After McMahan et al. 2017: 100 clients, a tenth of them a round. */
export interface Setting {
  readonly model: '2NN' | 'CNN'
  readonly distribution: Distribution
  readonly rounds: number
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
  /** Accuracy whose first round is compared. */
  readonly target: number
}

export const CLIENTS = 100
export const PARTICIPANTS = 10

export interface Job {
  readonly setting: Setting
  readonly seed: number
  readonly digits: Digits
  readonly participants: readonly (readonly number[])[]
}

export function jobOf(setting: Setting, seed: number): Job {
  const random = new Random(seed, PARTICIPANTS_STREAM)
  const participants = Array.from({ length: setting.rounds }, () => {
    const order = Uint32Array.from({ length: CLIENTS }, (_, index) => index)
    random.shuffle(order)
    return [...order.subarray(0, PARTICIPANTS)].sort((a, b) => a - b)
  })
  return { setting, seed, digits: readDigits(setting.distribution, CLIENTS, seed), participants }
}

interface PeerResult {
  readonly accuracies: number[]
  readonly versions: Record<string, string>
}

/** Has PyTorch and Flower carry out the job. @param folder for the files of both */
export async function runPeer(
  { setting, seed, digits, participants }: Job,
  parameters: Float32Array,
  { python, folder }: { python: string; folder: string },
): Promise<PeerResult> {
  const path = (name: string): string => join(folder, name)
  writeFileSync(path('samples'), digits.all.x)
  writeFileSync(path('labels'), digits.all.y)
  writeFileSync(path('parameters'), parameters)
  const files = { samples: path('samples'), labels: path('labels'), parameters: path('parameters') }
  const job = { ...setting, seed, ...files, clients: digits.clients, test: digits.test, participants }
  writeFileSync(path('job.json'), JSON.stringify(job))
  await promisify(execFile)(python, [PEER, path('job.json'), path('result.json')], { maxBuffer: 2 ** 24 })
  return JSON.parse(readFileSync(path('result.json'), 'utf8')) as PeerResult
}
