// Ours and the peer's ways of one training, measured in turns so that they meet the same load, until the rounds or the
// time for them are used up. What fails is told, and does not stop the others.
import { loadavg } from 'node:os'

import { type Row, row } from '../rows.ts'
import type { Contender, Measured } from './contender.ts'

export interface Case {
  model: string
  optimizer: 'SGD' | 'Adam'
  batch: number
  threads: number
}

export interface Pair {
  ours: Contender
  peer: Contender
}

export interface Rules {
  /** The model's file. */
  file: string
  /** Of an epoch, which is what is measured. */
  steps: number
  /** The peer's ways; the best one counts. */
  ways: readonly string[]
  /** What the peer is called in the table. */
  peer: string
  rounds: number
  /** No round but the first three begins later, and none but the first when twice as much has passed. */
  seconds: number
  /** For one measurement, preparations included. */
  limitSeconds: number
  goal: number
}

interface Best extends Measured {
  rounds: number
}

type Results = ReadonlyMap<string, Best | Error>

const OURS = 'ours'
/** A single measurement under load says nothing. */
const LEAST_ROUNDS = 3

export async function race(pair: Pair, each: Case, rules: Rules): Promise<Row> {
  const results = new Map<string, Best | Error>()
  const begin = performance.now()
  const goesOn = (round: number): boolean => {
    const times = (performance.now() - begin) / 1000 / rules.seconds
    return round === 0 || (round < rules.rounds && times < (round < LEAST_ROUNDS ? 2 : 1))
  }
  const names = [OURS, ...rules.ways]
  for (let round = 0; goesOn(round); round++) {
    for (const name of names) {
      const before = results.get(name)
      if (before instanceof Error) continue
      results.set(name, await measured(pair, { ...rules, ...each, name }, before))
    }
    if (results.get(OURS) instanceof Error || rules.ways.every((way) => results.get(way) instanceof Error))
      break
  }
  return rowOf(each, rules, results)
}

type Question = Pick<Rules, 'file' | 'steps' | 'limitSeconds'> & Case & { name: string }

async function measured(pair: Pair, question: Question, before: Best | undefined): Promise<Best | Error> {
  const { name, model, optimizer, batch, steps, file, limitSeconds } = question
  const common = { optimizer, batch, steps }
  try {
    const now =
      name === OURS
        ? await pair.ours.measure({ ...common, file }, limitSeconds)
        : await pair.peer.measure({ ...common, model, way: name }, limitSeconds)
    return {
      cpu: Math.min(before?.cpu ?? Infinity, now.cpu),
      wall: Math.min(before?.wall ?? Infinity, now.wall),
      memory: now.memory,
      rounds: (before?.rounds ?? 0) + 1,
    }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function rowOf(each: Case, rules: Rules, results: Results): Row {
  const { model, optimizer, batch, threads } = each
  const subject = {
    name: `${model}, ${optimizer}, batch ${batch}, ${threads} thread${threads > 1 ? 's' : ''} against ${rules.peer}`,
    goal: rules.goal,
  }
  const failed = [...results].flatMap(([name, result]) =>
    result instanceof Error ? [`${name}: ${result.message}`] : [],
  )
  const ours = results.get(OURS)
  const theirs = rules.ways.flatMap((way) => {
    const result = results.get(way)
    return result instanceof Error || !result ? [] : [result]
  })
  if (!ours || ours instanceof Error || theirs.length === 0) {
    return row({ ...subject, value: null, note: failed.join('; ') })
  }
  const time = threads === 1 ? 'cpu' : 'wall'
  const seconds = Math.min(...theirs.map((result) => result[time]))
  const figures = `${milliseconds(ours[time])} against ${milliseconds(seconds)} ms a step`
  const processor = Math.min(...theirs.map(({ cpu }) => cpu))
  const how = [
    `${threads === 1 ? 'processor' : 'wall'} time, best of ${ours.rounds}`,
    ...(threads === 1 ? [] : [`processor time ${milliseconds(ours.cpu)} against ${milliseconds(processor)}`]),
    `load ${loadavg()[0]?.toFixed(1)}`,
  ]
  const note = [`${figures} (${how.join('; ')})`, ...failed].join('; ')
  return row({ ...subject, value: seconds / ours[time], note })
}

const milliseconds = (seconds: number): string => (seconds * 1000).toPrecision(3)

/** Peak memory of processes that train one model only, interpreter and libraries included. */
export async function compareMemory(pair: Pair, each: Case, rules: Rules): Promise<Row> {
  const results = new Map<string, Best | Error>()
  for (const name of [OURS, 'eager']) {
    results.set(name, await measured(pair, { ...rules, ...each, name }, undefined))
  }
  const [ours, peer] = [results.get(OURS), results.get('eager')]
  const subject = {
    name: `peak memory, ${each.model}, ${each.optimizer}, batch ${each.batch}, PyTorch's by ours`,
    goal: 2,
  }
  if (!ours || !peer || ours instanceof Error || peer instanceof Error) {
    const reasons = [ours, peer].flatMap((result) => (result instanceof Error ? [result.message] : []))
    return row({ ...subject, value: null, note: reasons.join('; ') })
  }
  const note = `${megabytes(ours.memory)} against ${megabytes(peer.memory)} MB`
  return row({ ...subject, value: peer.memory / ours.memory, note })
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)
