/*
 * Two ways to run rounds over the same clients on a simulated clock. Training and merging are real; only time is not.
 */
import { Random } from '#federation/training/random.ts'
import type { LocalTrainer } from '#federation/training/index.ts'

import { normal } from '../../examples/digits/prepare.ts'
import { type Digits, rowsOf } from '../digits.ts'
import { differenceOf, type LocalUpdate, merged } from '../merging.ts'

export interface Fleet {
  readonly trainer: LocalTrainer
  readonly parameters: Float32Array
  readonly digits: Digits
  /** How long each client's training takes. */
  readonly times: readonly number[]
  readonly seed: number
}

export interface Course {
  readonly accuracies: readonly { readonly time: number; readonly accuracy: number }[]
  /** When the target was first reached; undefined: never. */
  readonly reachedAt: number | undefined
}

interface Rule {
  readonly target: number
  readonly longest: number
}

const TIMES_STREAM = 5
const DRAW_STREAM = 6
const SPREAD = 0.5
const SLOWEST_SHARE = 0.1
const SLOWEST_FACTOR = 10
const LEARNING_RATE = 0.05
const EPOCHS = 1
const MAX_STALENESS = 20

/** Log-normal with median 1; every tenth client takes ten times as long. */
export function timesOf(clients: number, seed: number): number[] {
  const random = new Random(seed, TIMES_STREAM)
  const slow = Math.round(clients * SLOWEST_SHARE)
  return Array.from({ length: clients }, (_, client) => {
    const time = Math.exp(SPREAD * normal(random))
    return client < slow ? time * SLOWEST_FACTOR : time
  })
}

/** Each round waits for all its participants. */
export async function synchronous(fleet: Fleet, rule: Rule & { participants: number }): Promise<Course> {
  const random = new Random(fleet.seed, DRAW_STREAM)
  const watch = new Watch(fleet, rule)
  let parameters = fleet.parameters
  let time = 0
  for (let round = 1; !watch.isOver(time); round++) {
    const chosen = draw(random, fleet.times.length, rule.participants)
    const updates: LocalUpdate[] = []
    for (const client of chosen) updates.push(await train(fleet, { client, parameters, version: round }))
    time += Math.max(...chosen.map((client) => fleet.times[client] ?? 0))
    parameters = await merged({ type: 'FedAvg' }, parameters, updates)
    await watch.look(time, parameters)
  }
  return watch
}

interface Running {
  readonly client: number
  readonly endsAt: number
  readonly version: number
  readonly parameters: Float32Array
}

/** Whoever is done hands in and another client starts at once; every `bufferSize` updates are merged. */
export async function asynchronous(
  fleet: Fleet,
  rule: Rule & { busy: number; bufferSize: number },
): Promise<Course> {
  const random = new Random(fleet.seed, DRAW_STREAM)
  const watch = new Watch(fleet, rule)
  let parameters = fleet.parameters
  let version = 0
  let buffer: LocalUpdate[] = []
  const begin = (client: number, time: number): Running => ({
    client,
    endsAt: time + (fleet.times[client] ?? 0),
    version,
    parameters,
  })
  const running = draw(random, fleet.times.length, rule.busy).map((client) => begin(client, 0))
  for (let time = 0; !watch.isOver(time);) {
    const done = running.reduce((first, one) => (one.endsAt < first.endsAt ? one : first))
    time = done.endsAt
    const update = await train(fleet, done)
    const staleness = version - done.version
    // A client may hand in twice before a merge: each time is an update of its own. What is too old is refused.
    const participant = `${update.participant} ${buffer.length}`
    if (staleness <= MAX_STALENESS) buffer.push({ ...update, participant, staleness })
    if (buffer.length === rule.bufferSize) {
      parameters = await merged({ type: 'FedBuff', maxStaleness: MAX_STALENESS }, parameters, buffer)
      version += 1
      buffer = []
      await watch.look(time, parameters)
    }
    const busy = new Set(running.filter((one) => one !== done).map(({ client }) => client))
    const idle = fleet.times.flatMap((_, client) => (busy.has(client) ? [] : [client]))
    running[running.indexOf(done)] = begin(idle[random.uint32() % idle.length] ?? done.client, time)
  }
  return watch
}

async function train(
  { trainer, digits, seed }: Fleet,
  { client, parameters, version }: Pick<Running, 'client' | 'parameters' | 'version'>,
): Promise<LocalUpdate> {
  const samples = rowsOf(digits, digits.clients[client] ?? [])
  const own = (seed * 1000 + client) * 100_000 + version
  const request = { parameters, samples, epochs: EPOCHS, learningRate: LEARNING_RATE, seed: own }
  const trained = await trainer.trainEpochs(request)
  const participant = `client-${String(client).padStart(3, '0')}`
  return { participant, samples: samples.count, difference: differenceOf(trained.parameters, parameters) }
}

/** Measures the model as often as it changes, and says when there is nothing more to see. */
class Watch implements Course {
  readonly accuracies: { time: number; accuracy: number }[] = []
  reachedAt: number | undefined
  readonly #fleet: Fleet
  readonly #rule: Rule

  constructor(fleet: Fleet, rule: Rule) {
    this.#fleet = fleet
    this.#rule = rule
  }

  isOver(time: number): boolean {
    return this.reachedAt !== undefined || time >= this.#rule.longest
  }

  async look(time: number, parameters: Float32Array): Promise<void> {
    const { trainer, digits } = this.#fleet
    const { metrics } = await trainer.evaluate({ parameters, samples: rowsOf(digits, digits.test) })
    const accuracy = metrics.accuracy ?? 0
    this.accuracies.push({ time, accuracy })
    if (accuracy >= this.#rule.target) this.reachedAt ??= time
  }
}

function draw(random: Random, clients: number, count: number): number[] {
  const order = Uint32Array.from({ length: clients }, (_, index) => index)
  random.shuffle(order)
  return [...order.subarray(0, count)]
}
