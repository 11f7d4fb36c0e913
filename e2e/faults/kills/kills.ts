/*
 * A hub, or an edge controller, is killed once in every round of a campaign, at a point that chance chooses, and started again. The
 * round has to go on from where it was: nobody trains again whose update was accepted, and what is merged is what was
 * acknowledged.
 */
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GOOD_STREAM_MS } from '#federation/wire/stream.ts'
import { RoundState_Phase, type TrainAssignment } from '#federation/wire/generated/tributary.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import { tinyModel } from '#operator/hub/testing/fakes.ts'
import { deliver, type Delivery, type RoundAtEdge } from '../ledger/delivery.ts'
import { Dice } from '../ledger/dice.ts'
import { Ledger } from '../ledger/ledger.ts'
import { StormOperator } from '../ledger/operator.ts'
import { judge } from '../ledger/oracle.ts'
import { runPod } from '../ledger/pod.ts'
import { nodeName, Tree } from '../ledger/tree.ts'
import { sumBehind, vectorOf, type Shape } from '../ledger/vectors.ts'
import type { KillSettings } from './kill-settings.ts'
import type { Point } from './point.ts'
import { RoundOnDisk } from './round-on-disk.ts'
import { assassin, countedAt, type Orders } from './testing/assassin.ts'
import { victimOf, type Victim } from './victim.ts'

const PAYLOAD_VALUES = 500
const TRAINING_MS = 300
const POINT_TIMEOUT_MS = 300_000
/** A blow that was on its way when the round ended has fallen after it. */
const GRACE_MS = 50
/**
 * After so many kills everybody is left alone until their streams count as good: to a controller, which lives on, a hub that comes back
 * for a moment again and again is away for ever longer.
 */
const KILLS_IN_A_ROW = 10
/** For a round without a kill, in which operations are counted. */
const NEVER: Orders = { operation: Number.MAX_SAFE_INTEGER, when: 'before' }

export async function killAtPoints(
  settings: KillSettings,
  onPoint: (point: Point) => void = () => undefined,
): Promise<Point[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-kills-'))
  const ordersPath = join(folder, 'orders')
  const shape = { participants: settings.participants, length: settings.participants + PAYLOAD_VALUES }
  const { participants, controllers, backoff } = settings
  const preloads = [...(settings.preloads ?? []), assassin(ordersPath)]
  const tree = await Tree.plant({
    ...{ model: tinyModel(new Float32Array(shape.length)), participants, controllers, backoff },
    preloads: {
      hub: settings.victim === 'hub' ? preloads : [],
      controller: (zone) => (settings.victim === 'controller' && zone === 0 ? preloads : []),
    },
  })
  const campaign = new KilledCampaign({ settings, shape, folder, ordersPath, tree })
  try {
    const points: Point[] = []
    await campaign.calmRounds()
    while (points.length < settings.points) {
      const point = await campaign.roundWithKill(points.length)
      if (!point) continue
      points.push(point)
      onPoint(point)
      // What follows would only say the same again.
      if (point.findings.length > 0) break
      if (points.length % KILLS_IN_A_ROW === 0) await sleep(GOOD_STREAM_MS + GRACE_MS)
    }
    return points
  } finally {
    await campaign.end()
    await tree.fell()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Parts {
  readonly settings: KillSettings
  readonly shape: Shape
  readonly folder: string
  readonly ordersPath: string
  readonly tree: Tree
}

class KilledCampaign {
  readonly #parts: Parts
  readonly #dice: Dice
  readonly #nodes: readonly string[]
  readonly #victim: Victim
  #operator: StormOperator
  #round = 0
  #before: Float32Array
  #ledger: Ledger
  /** How long a calm round takes, and its operations on the disk. */
  #calmMs = 0
  #operations = 0
  /** Whose update of the round was accepted when the victim died. */
  #accepted: ReadonlySet<number> = new Set()
  readonly #retrained: string[] = []
  #podsEnd = new AbortController()
  #pods = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
    this.#dice = new Dice(parts.settings.seed)
    this.#nodes = Array.from({ length: parts.shape.participants }, (_, index) => nodeName(index))
    this.#victim = victimOf(parts.settings.victim, parts.tree)
    this.#before = new Float32Array(parts.shape.length)
    this.#ledger = new Ledger(parts.shape.participants)
    this.#operator = this.#newOperator()
  }

  async end(): Promise<void> {
    this.#podsEnd.abort()
    await this.#pods
    this.#operator.close()
  }

  /** Each round has pods of its own, whose waiting times know nothing of the kills before. Fulfilled when all have ended. */
  async #runPods(signal: AbortSignal): Promise<void> {
    const { settings, folder, tree } = this.#parts
    await Promise.all(
      this.#nodes.map(async (node, participant) => {
        const dice = this.#dice.fork(`${node}, round ${this.#round}`)
        await runPod({
          ...{ hub: tree.hubFor(participant), folder: join(folder, node), random: dice.uniform },
          ...{ nameOf: tree.nameOf.bind(tree), backoff: settings.backoff, clockSpeed: 1, signal },
          train: async (assignment, way, ended) => {
            const own = dice.fork(`train ${assignment.round}`)
            return this.#train(assignment, { participant, to: way.parent, dice: own, signal: ended })
          },
          evaluate: async (ended) => await pause(dice.fork('evaluate'), ended),
        })
      }),
    )
  }

  async #train(
    { round, parameters }: TrainAssignment,
    delivery: Omit<Delivery, 'variant' | 'backoff'>,
  ): Promise<undefined> {
    if (round === this.#round && this.#accepted.has(delivery.participant)) {
      this.#retrained.push(`${nodeName(delivery.participant)} was told to train again what was accepted`)
    }
    await pause(delivery.dice, delivery.signal)
    const at = { ...this.#atEdge(parameters?.digest ?? ''), round }
    await deliver(at, { ...delivery, variant: 0, backoff: this.#parts.settings.backoff })
  }

  /** Rounds without a kill, for how long they take and how much they do on the disk. */
  async calmRounds(): Promise<void> {
    // The first compiles too; what was counted in the second is known once the third begins.
    for (let calm = 0; calm < 3; calm++) {
      this.#order(NEVER)
      const begun = performance.now()
      await this.#begin()
      if (calm === 0) await this.#parts.tree.startControllers()
      await this.#closed()
      this.#calmMs = performance.now() - begun
      await this.#judge()
    }
    this.#operations = countedAt(this.#parts.ordersPath)
  }

  /** Undefined when the victim lived to the end of the round: the point lay behind it. */
  async roundWithKill(index: number): Promise<Point | undefined> {
    const { process } = this.#victim
    const dice = this.#dice.fork(`point ${index}, round ${this.#round}`)
    const where = index % 2 === 0 ? this.#atOperation(dice) : this.#afterTime(dice)
    const roundEnds = this.#begin().then(() => this.#closed())
    const survived = await Promise.race([process.gone().then(() => false), roundEnds.then(() => true)])
    where.cancel()
    if (survived) {
      this.#order(NEVER)
      await sleep(GRACE_MS)
      if (!process.isRunning) await process.start()
      await this.#judge()
      return undefined
    }
    const accepting = this.#victim.accepts.flatMap((volume) => this.#onDisk(volume).accepted())
    this.#accepted = new Set(accepting.map((node) => this.#nodes.indexOf(node)))
    const phase = this.#onDisk(this.#victim.volume).phase()
    await process.start()
    const back = performance.now()
    const resumedMs = await this.#progress(back)
    const lost = await roundEnds
    const endedMs = performance.now() - back
    const accepted = this.#accepted.size
    const findings = lost.length > 0 ? lost : await this.#judge()
    return { round: this.#round, where: where.words, phase, accepted, resumedMs, endedMs, findings }
  }

  #atOperation(dice: Dice): { words: string; cancel: () => void } {
    const operation = dice.integer(1, this.#operations)
    const when = dice.chance(0.5) ? 'before' : 'after'
    this.#order({ operation, when })
    return { words: `${when} operation ${operation} on the disk`, cancel: () => undefined }
  }

  #afterTime(dice: Dice): { words: string; cancel: () => void } {
    const ms = dice.between(0, this.#calmMs)
    const timer = setTimeout(() => this.#victim.process.strike(), ms)
    return { words: `after ${ms.toFixed(0)} ms`, cancel: () => clearTimeout(timer) }
  }

  #order(orders: Orders): void {
    writeFileSync(this.#parts.ordersPath, JSON.stringify(orders))
  }

  async #begin(): Promise<void> {
    const { settings, tree } = this.#parts
    this.#podsEnd.abort()
    await this.#pods
    this.#accepted = new Set()
    this.#ledger = new Ledger(settings.participants)
    this.#operator.close()
    this.#operator = this.#newOperator()
    this.#round += 1
    this.#podsEnd = new AbortController()
    this.#pods = this.#runPods(this.#podsEnd.signal)
    const quorum = { minimumUpdates: settings.participants, tiers: tree.tiers }
    await this.#operator.plan({ round: this.#round, rounds: 10_000, nodes: this.#nodes, ...quorum })
  }

  #newOperator(): StormOperator {
    const { hub } = this.#parts.tree
    return new StormOperator(() => hub.endpoint, CAMPAIGN, AbortSignal.timeout(POINT_TIMEOUT_MS))
  }

  #onDisk(volume: string): RoundOnDisk {
    return new RoundOnDisk(volume, CAMPAIGN, this.#round)
  }

  #atEdge(parameters: string): RoundAtEdge {
    const { settings, shape, folder } = this.#parts
    return {
      ...{ seed: settings.seed, campaign: CAMPAIGN, round: this.#round, shape, parameters, folder },
      ...{ ledger: this.#ledger, nameOf: nodeName },
    }
  }

  /** What was acknowledged and is lost, which keeps the round from ending; else nothing once it has ended. */
  async #closed(): Promise<string[]> {
    const ledger = this.#ledger
    let lost: string[] = []
    let sure = ledger.whoSawAcknowledgements()
    await this.#operator.until((state) => {
      lost = ledger.unknownTo(state, this.#round, nodeName, sure).map(({ detail }) => detail)
      sure = ledger.whoSawAcknowledgements()
      return lost.length > 0 || state.current?.phase === RoundState_Phase.DONE
    })
    return lost
  }

  /** Milliseconds until the round is a step further than it was when the process came back, or at its end. */
  async #progress(back: number): Promise<number> {
    const ledger = this.#ledger
    const { stepOf } = this.#victim
    const first = stepOf(await this.#operator.state())
    await this.#operator.until((state) => {
      if (state.current?.phase === RoundState_Phase.DONE || stepOf(state) !== first) return true
      return ledger.unknownTo(state, this.#round, nodeName).length > 0
    })
    return performance.now() - back
  }

  async #judge(): Promise<string[]> {
    const { settings, shape, tree } = this.#parts
    const { parametersDigest, samples, received } = await this.#operator.merged(this.#round)
    const after = await this.#operator.parameters(parametersDigest)
    const updates = this.#onDisk(tree.hub.directory).committed()
    const committed = updates.map(({ participant, digest }) => ({
      participant: this.#nodes.indexOf(participant),
      digest,
    }))
    const sum = sumBehind(this.#before, after, samples)
    const vectors = (participant: number): Float32Array =>
      vectorOf({ seed: settings.seed, round: this.#round, participant, variant: 0 }, shape)
    const found = judge(this.#ledger.entries, { sum, committed }, vectors)
    this.#before = after
    const missing = received === shape.participants ? [] : [`${received} of ${shape.participants} count`]
    const all = [...found.map(({ kind, detail }) => `${kind}: ${detail}`), ...missing]
    const counted = new Set(committed.map(({ participant }) => participant))
    return [...all, ...this.#ledger.wrongAnswers(counted), ...this.#retrained.splice(0)]
  }
}

/** What a training, or an evaluation, takes. */
const pause = async (dice: Dice, signal: AbortSignal): Promise<void> =>
  sleep(dice.between(0, TRAINING_MS), undefined, { signal })
