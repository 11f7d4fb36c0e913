/*
 * One storm: a hub in a process of its own, participants behind a link on which connections go wrong, and something that kills
 * the hub again and again. After each round the oracle compares what was merged with what the participants saw.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '#federation/wire/digest.ts'
import { CommitRecord } from '#federation/tier/store/records.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import { podToken, tinyModel } from '#operator/hub/testing/fakes.ts'
import { MortalHub } from '#operator/hub/testing/mortal-hub.ts'
import { act, BEHAVIOURS, type Behaviour } from './behaviour.ts'
import { deliver, type RoundAtEdge } from './delivery.ts'
import { Dice } from './dice.ts'
import { Ledger } from './ledger.ts'
import { judge, type Finding } from './oracle.ts'
import { StormOperator } from './operator.ts'
import type { Mortal, Parents } from './parents.ts'
import { TroubledLink, Weather } from './troubled-link.ts'
import { bytesOf, sumBehind, vectorOf, type Shape } from './vectors.ts'

export interface StormSettings {
  readonly seed: string
  readonly participants: number
  readonly rounds: number
  /** Kills at random moments of each round, besides one at an acknowledgement and one at the commit. */
  readonly killsPerRound: number
  /** Modules that the hub's process loads first. */
  readonly preloads?: readonly URL[]
}

export interface StormResult {
  readonly findings: readonly { readonly round: number; readonly finding: Finding | string }[]
  readonly counts: StormCounts
}

export interface StormCounts {
  rounds: number
  /** Updates whose first byte left. */
  updates: number
  acknowledged: number
  /** Sent, and no acknowledgement seen. */
  unanswered: number
  /** Of these, how many count. */
  unansweredCounted: number
  refused: number
  neverSent: number
  kills: number
  resets: number
  mutes: number
  holds: number
  delays: number
  connections: number
}

/** Payload values behind the participants' places. */
const PAYLOAD_VALUES = 1_500
/** Faults of a round; whoever still has to send then finds a clear link, so that every storm ends. */
const FAULTS_PER_PARTICIPANT = 3
/** A storm on a busy machine takes a tenth of it. */
const STORM_TIMEOUT_MS = 10 * 60_000

export async function storm(settings: StormSettings): Promise<StormResult> {
  const shape: Shape = {
    participants: settings.participants,
    length: settings.participants + PAYLOAD_VALUES,
  }
  const dice = new Dice(settings.seed)
  const folder = await mkdtemp(join(tmpdir(), 'tributary-ledger-'))
  const hub = await MortalHub.create(tinyModel(new Float32Array(shape.length)), settings.preloads)
  const weather = new Weather(dice.fork('link'), 4 * shape.length)
  const link = await TroubledLink.open(
    () => hub.endpoint.port,
    () => weather.draw(),
  )
  const operator = new StormOperator(() => hub.endpoint, CAMPAIGN, AbortSignal.timeout(STORM_TIMEOUT_MS))
  const parents: Parents = {
    mortals: [{ name: 'hub', kill: () => hub.kill(), start: () => hub.start() }],
    endpointFor: (participant) => ({
      ...{ host: '127.0.0.1', port: link.port, authority: hub.endpoint.authority },
      readToken: () => Promise.resolve(podToken(nodeName(participant))),
    }),
  }
  try {
    return await new Storm({ settings, shape, dice, folder, hub, link, weather, operator, parents }).run()
  } finally {
    operator.close()
    await link.close()
    await hub.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Scene {
  readonly settings: StormSettings
  readonly shape: Shape
  readonly dice: Dice
  readonly folder: string
  readonly hub: MortalHub
  readonly link: TroubledLink
  readonly weather: Weather
  readonly operator: StormOperator
  readonly parents: Parents
}

class Storm {
  readonly #scene: Scene
  readonly #findings: { round: number; finding: Finding | string }[] = []
  readonly #counts = {
    ...{ rounds: 0, updates: 0, acknowledged: 0, unanswered: 0, unansweredCounted: 0, refused: 0 },
    ...{ neverSent: 0, kills: 0, resets: 0, mutes: 0, holds: 0, delays: 0, connections: 0 },
  }
  #before: Float32Array

  constructor(scene: Scene) {
    this.#scene = scene
    this.#before = new Float32Array(scene.shape.length)
  }

  async run(): Promise<StormResult> {
    const { settings, link } = this.#scene
    for (let round = 1; round <= settings.rounds; round++) {
      await this.#round(round)
      // What follows would only say the same again.
      if (this.#findings.length > 0) break
    }
    const { reset: resets, mute: mutes, hold: holds, slow: delays, none } = link.counts
    const connections = resets + mutes + holds + delays + none
    return {
      findings: this.#findings,
      counts: { ...this.#counts, resets, mutes, holds, delays, connections },
    }
  }

  async #round(round: number): Promise<void> {
    const { settings, operator, weather } = this.#scene
    const nodes = Array.from({ length: settings.participants }, (_, index) => nodeName(index))
    const minimumUpdates = Math.ceil(settings.participants / 2)
    await operator.plan({ round, rounds: settings.rounds, nodes, minimumUpdates })
    const at = this.#atEdge(round)
    weather.begin(FAULTS_PER_PARTICIPANT * settings.participants)
    const behaviours = nodes.map((_, participant) => this.#dice(round, participant).pick(BEHAVIOURS))
    const end = new AbortController()
    const killing = this.#kill(at, end.signal)
    const failure = killing.then(
      () => new Promise<never>(() => undefined),
      (error: unknown) => Promise.reject(error as Error),
    )
    try {
      await Promise.race([failure, Promise.all(nodes.map((_, i) => this.#takePart(at, i, behaviours[i])))])
      if (!(await Promise.race([failure, this.#awaitMerge(at)]))) return
    } finally {
      end.abort()
      await killing
    }
    await this.#epilogue(at, behaviours)
    await this.#judge(at)
    if (round < settings.rounds) await operator.closed(round)
  }

  /** False when the hub does not know of an update any more that was acknowledged: the round would wait for it in vain. */
  async #awaitMerge({ round, ledger }: RoundAtEdge): Promise<boolean> {
    let findings: Finding[] = []
    await this.#scene.operator.until((state) => {
      findings = ledger.unknownTo(state, round, nodeName)
      return findings.length > 0 || (state.current?.round === round && state.current.parametersDigest !== '')
    })
    this.#findings.push(...findings.map((finding) => ({ round, finding })))
    return findings.length === 0
  }

  #atEdge(round: number): RoundAtEdge {
    const { settings, shape, folder, parents } = this.#scene
    return {
      ...{ seed: settings.seed, campaign: CAMPAIGN, round, shape, folder, parents, nameOf: nodeName },
      parameters: digestOf(bytesOf(this.#before)),
      ledger: new Ledger(shape.participants),
    }
  }

  #dice(round: number, participant: number): Dice {
    return this.#scene.dice.fork(`round ${round}, participant ${participant}`)
  }

  async #takePart(at: RoundAtEdge, participant: number, behaviour: Behaviour = 'plain'): Promise<void> {
    const ending = await act(behaviour, at, participant, this.#dice(at.round, participant).fork('acts'))
    if (ending === 'failed') await this.#scene.operator.reportFailure(nodeName(participant), at.round)
  }

  /** Whoever was silent sends after the merge, when nothing may count any more; some send again what counts. */
  async #epilogue(at: RoundAtEdge, behaviours: readonly Behaviour[]): Promise<void> {
    const again = behaviours.flatMap((behaviour, participant) => {
      const dice = this.#dice(at.round, participant).fork('epilogue')
      const late = behaviour === 'silent' && dice.chance(0.5)
      return late || dice.chance(0.1) ? [{ participant, dice }] : []
    })
    await Promise.all(
      again.map(async ({ participant, dice }) => {
        const variant = dice.chance(0.7) ? 0 : 2
        const signal = AbortSignal.timeout(STORM_TIMEOUT_MS)
        await deliver(at, { participant, variant, signal, dice })
      }),
    )
  }

  async #kill({ round, ledger }: RoundAtEdge, end: AbortSignal): Promise<void> {
    const { settings, dice, parents, hub } = this.#scene
    const own = dice.fork(`kills ${round}`)
    const commit = commitPath(hub, round)
    const moments = [
      ...Array.from({ length: settings.killsPerRound }, () => () => pause(own.between(20, 500), end)),
      () => seen(() => ledger.entries.some(({ acknowledged }) => acknowledged.size > 0), end),
      () => seen(() => existsSync(commit), end),
    ]
    for (const moment of moments) {
      await moment()
      if (end.aborted) return
      const mortal = parents.mortals[own.integer(0, parents.mortals.length - 1)] as Mortal
      await mortal.kill()
      this.#counts.kills += 1
      await mortal.start()
    }
  }

  async #judge({ seed, round, ledger, shape }: RoundAtEdge): Promise<void> {
    const { operator, hub } = this.#scene
    const { parametersDigest, samples } = await operator.merged(round)
    const after = await operator.parameters(parametersDigest)
    const { updates } = CommitRecord.parse(JSON.parse(await readFile(commitPath(hub, round), 'utf8')))
    const committed = updates.map(({ participant, digest }) => ({
      participant: numberOf(participant),
      digest,
    }))
    const merged = { sum: sumBehind(this.#before, after, samples), committed }
    const vectors = (participant: number, digest: string): Float32Array => {
      const variants = [0, 1, 2].map((variant) => vectorOf({ seed, round, participant, variant }, shape))
      return variants.find((vector) => digestOf(bytesOf(vector)) === digest) ?? new Float32Array(shape.length)
    }
    const findings = [...judge(ledger.entries, merged, vectors), ...ledger.wrongAnswers]
    this.#findings.push(...findings.map((finding) => ({ round, finding })))
    this.#count(ledger, new Set(committed.map(({ participant }) => participant)))
    this.#before = after
  }

  #count({ entries }: Ledger, counted: ReadonlySet<number>): void {
    const counts = this.#counts
    counts.rounds += 1
    entries.forEach(({ sent, acknowledged, refused }, participant) => {
      const unanswered = sent.size > 0 && acknowledged.size === 0
      counts.updates += sent.size
      counts.acknowledged += acknowledged.size
      counts.refused += refused.size
      counts.unanswered += Number(unanswered)
      counts.unansweredCounted += Number(unanswered && counted.has(participant))
      counts.neverSent += Number(sent.size === 0)
    })
  }
}

const nodeName = (participant: number): string => `node-${participant}`
const numberOf = (node: string): number => Number(node.slice('node-'.length))

function commitPath(hub: MortalHub, round: number): string {
  return join(hub.directory, 'campaigns', CAMPAIGN, 'rounds', String(round), 'commit.json')
}

async function pause(milliseconds: number, end: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal: end }).catch(() => undefined)
}

async function seen(happened: () => boolean, end: AbortSignal): Promise<void> {
  while (!happened() && !end.aborted) await pause(2, end)
}
