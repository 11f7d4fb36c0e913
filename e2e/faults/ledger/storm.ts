/*
 * One storm: a tree of a hub and edge controllers, each a process of its own, participants behind links on which connections go
 * wrong, and something that kills the processes again and again. After each round the oracle compares what was merged with what the
 * participants saw.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '#federation/wire/digest.ts'
import { CommitRecord } from '#federation/tier/store/records.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import type { TrainAssignment } from '#federation/wire/generated/tributary.ts'
import { tinyModel } from '#operator/hub/testing/fakes.ts'
import { act, actAgain, BEHAVIOURS, type Behaviour, type Means } from './behaviour.ts'
import { deliver, STORM_BACKOFF, type Parent, type RoundAtEdge } from './delivery.ts'
import { Dice } from './dice.ts'
import { addRound, NOTHING, type StormResult, type StormSettings } from './counts.ts'
import { disturb } from './disturbance.ts'
import { Ledger } from './ledger.ts'
import { judge, type Finding } from './oracle.ts'
import { StormOperator } from './operator.ts'
import { connectionTo, runPod, type Way } from './pod.ts'
import { HUB, nodeName, numberOf, stillThere, Tree } from './tree.ts'
import { Weather } from './troubled-link.ts'
import { bytesOf, sumBehind, vectorOf, type Shape } from './vectors.ts'

/** Payload values behind the participants' places. */
const PAYLOAD_VALUES = 1_500
/** Faults of a round; whoever still has to send then finds a clear link, so that every storm ends. */
const FAULTS_PER_PARTICIPANT = 3
const FAULTS_PER_CONTROLLER = 6
/** A storm on a busy machine takes a tenth of it. */
const STORM_TIMEOUT_MS = 10 * 60_000
/** Half a minute of a silent parent is over in less than a second. */
const CLOCK_SPEED = 50
/** What was sent aside and has no answer when its round is merged. */
const GRACE_MS = 1_000

export async function storm(settings: StormSettings): Promise<StormResult> {
  const { participants, controllers, preloads = {} } = settings
  const shape: Shape = { participants, length: participants + PAYLOAD_VALUES }
  const dice = new Dice(settings.seed)
  const folder = await mkdtemp(join(tmpdir(), 'tributary-ledger-'))
  const [ofPods, ofControllers] = ['link', 'link of controllers'].map(
    (name) => new Weather(dice.fork(name), 4 * shape.length),
  ) as [Weather, Weather]
  const { hub = [], controller = [] } = preloads
  const tree = await Tree.plant({
    ...{ model: tinyModel(new Float32Array(shape.length)), participants, controllers },
    preloads: { hub, controller: () => controller },
    weather: { ofPods: () => ofPods.draw(), ofControllers: () => ofControllers.draw() },
    backoff: STORM_BACKOFF,
  })
  const timeout = AbortSignal.timeout(STORM_TIMEOUT_MS)
  const operator = new StormOperator(() => tree.hub.endpoint, CAMPAIGN, timeout)
  try {
    const begin = (): void => {
      ofPods.begin(FAULTS_PER_PARTICIPANT * participants)
      ofControllers.begin(FAULTS_PER_CONTROLLER * controllers)
    }
    return await new Storm({ settings, shape, dice, folder, tree, begin, operator, timeout }).run()
  } finally {
    operator.close()
    await tree.fell()
    await rm(folder, { recursive: true, force: true })
  }
}

interface Scene {
  readonly settings: StormSettings
  readonly shape: Shape
  readonly dice: Dice
  readonly folder: string
  readonly tree: Tree
  /** Begins the bad weather of a round. */
  readonly begin: () => void
  readonly operator: StormOperator
  readonly timeout: AbortSignal
}

/** A round while it goes on. */
interface OpenRound extends RoundAtEdge {
  readonly behaviours: readonly Behaviour[]
  /** How often each participant was asked to train. */
  readonly asked: number[]
  /** Deliveries that no pod waits for. */
  readonly aside: Promise<unknown>[]
  /** Aborted when they are not waited for any more. */
  readonly over: AbortController
}

class Storm {
  readonly #scene: Scene
  readonly #nodes: readonly string[]
  readonly #findings: { round: number; finding: Finding | string }[] = []
  readonly #counts = { ...NOTHING }
  readonly #podsEnd = new AbortController()
  /** What broke besides the tree. */
  readonly #broken = Promise.withResolvers<never>()
  #before: Float32Array
  #open: OpenRound | undefined

  constructor(scene: Scene) {
    this.#scene = scene
    this.#nodes = Array.from({ length: scene.settings.participants }, (_, index) => nodeName(index))
    this.#before = new Float32Array(scene.shape.length)
    this.#broken.promise.catch(() => undefined)
  }

  async run(): Promise<StormResult> {
    const { settings, tree } = this.#scene
    await this.#plan(1)
    await tree.startControllers()
    const pods = this.#startPods()
    try {
      for (let round = 1; round <= settings.rounds; round++) {
        await this.#round(round)
        // What follows would only say the same again.
        if (this.#findings.length > 0) break
      }
      this.#found(settings.rounds, await stillThere(tree.replaced, this.#scene.timeout))
    } finally {
      this.#podsEnd.abort()
      await pods
    }
    const { reset: resets, mute: mutes, hold: holds, slow: delays, none } = tree.faults()
    const connections = resets + mutes + holds + delays + none
    return {
      findings: this.#findings,
      counts: { ...this.#counts, resets, mutes, holds, delays, connections },
    }
  }

  async #plan(round: number): Promise<void> {
    const { settings, operator, tree } = this.#scene
    const minimumUpdates = Math.ceil(settings.participants / 2)
    const { rounds } = settings
    await operator.plan({ round, rounds, nodes: this.#nodes, minimumUpdates, tiers: tree.tiers })
  }

  async #startPods(): Promise<void> {
    const { tree, folder, dice } = this.#scene
    const pods = this.#nodes.map((node, participant) =>
      runPod({
        ...{ hub: tree.hubFor(participant), folder: join(folder, node) },
        ...{ nameOf: (endpoint) => tree.nameOf(endpoint), random: dice.fork(node).uniform },
        ...{ backoff: STORM_BACKOFF, clockSpeed: CLOCK_SPEED, signal: this.#podsEnd.signal },
        train: async (assignment, way, signal) => this.#train(participant, assignment, { way, signal }),
      }),
    )
    await Promise.all(pods).catch(this.#broken.reject)
  }

  async #round(round: number): Promise<void> {
    const { settings, operator, tree, dice } = this.#scene
    this.#scene.begin()
    const open = this.#enter(round)
    await this.#plan(round)
    const end = new AbortController()
    const disturbance = disturb({
      ...{ tree, round, ledger: open.ledger, dice: dice.fork(`kills ${round}`), end: end.signal },
      ...{ kills: settings.killsPerRound, counts: this.#counts, plan: async () => this.#plan(round) },
    })
    disturbance.catch(this.#broken.reject)
    const merge = Promise.race([this.#broken.promise, this.#awaitMerge(open)])
    try {
      await merge
    } finally {
      end.abort()
      await disturbance
      setTimeout(() => open.over.abort(), GRACE_MS)
      await Promise.all(open.aside)
    }
    if (!(await merge)) return
    await this.#epilogue(open)
    await this.#judge(open)
    if (round < settings.rounds) await operator.closed(round)
  }

  /**
   * False when what the hub acknowledged is wrong already: it does not know of it any more, and the round would wait for it in vain,
   * or it was two updates of one node, of which one has lost its bytes.
   */
  async #awaitMerge({ round, ledger }: RoundAtEdge): Promise<boolean> {
    let findings: Finding[] = []
    let sure = ledger.whoSawAcknowledgements()
    await this.#scene.operator.until((state) => {
      findings = [...ledger.unknownTo(state, round, nodeName, sure), ...ledger.contradictions()]
      sure = ledger.whoSawAcknowledgements()
      return findings.length > 0 || (state.current?.round === round && state.current.parametersDigest !== '')
    })
    this.#found(round, findings)
    return findings.length === 0
  }

  #found(round: number, findings: readonly (Finding | string)[]): void {
    this.#findings.push(...findings.map((finding) => ({ round, finding })))
  }

  #enter(round: number): OpenRound {
    const { settings, shape, folder } = this.#scene
    const open: OpenRound = {
      ...{ seed: settings.seed, campaign: CAMPAIGN, round, shape, folder, nameOf: nodeName },
      parameters: digestOf(bytesOf(this.#before)),
      ledger: new Ledger(shape.participants),
      behaviours: this.#nodes.map((_, participant) => this.#dice(round, participant).pick(BEHAVIOURS)),
      ...{ asked: this.#nodes.map(() => 0), aside: [], over: new AbortController() },
    }
    this.#open = open
    return open
  }

  #dice(round: number, participant: number): Dice {
    return this.#scene.dice.fork(`round ${round}, participant ${participant}`)
  }

  /** In words why the participant does not train, if it does not. */
  async #train(
    participant: number,
    { round, parameters }: TrainAssignment,
    { way, signal }: { way: Way; signal: AbortSignal },
  ): Promise<string | undefined> {
    const open = this.#open
    // A controller that was cut off may still ask for what is over.
    if (open?.round !== round || parameters?.digest !== open.parameters) {
      await sleep(STORM_TIMEOUT_MS, undefined, { signal })
      return undefined
    }
    const times = (open.asked[participant] = (open.asked[participant] ?? 0) + 1)
    const dice = this.#dice(round, participant).fork(`asked ${times}`)
    const means = this.#means({ open, participant, dice }, { way, signal })
    const behaviour = open.behaviours[participant] ?? 'plain'
    const isDone = await (times === 1 ? act(behaviour, means) : actAgain(behaviour, means))
    if (isDone || signal.aborted) return undefined
    open.ledger.gaveUp(participant)
    return 'part of the storm'
  }

  #means(
    { open, participant, dice }: { open: OpenRound; participant: number; dice: Dice },
    { way, signal }: { way: Way; signal: AbortSignal },
  ): Means {
    const { tree, timeout } = this.#scene
    const shared = { participant, dice: dice.fork('delivery') }
    const own: Means['own'] = async (patienceMs) => {
      const patience = patienceMs === undefined ? [] : [AbortSignal.timeout(patienceMs)]
      const until = AbortSignal.any([signal, ...patience])
      return await deliver(open, { ...shared, variant: 0, to: way.parent, signal: until })
    }
    const aside: Means['aside'] = (variant, to) => {
      const nameOf = tree.nameOf.bind(tree)
      const parent = to === 'hub' ? connectionTo(tree.hubFor(participant), nameOf) : way.aside()
      const until = AbortSignal.any([timeout, open.over.signal])
      const delivery = { ...shared, dice: dice.fork('aside'), variant, to: parent, signal: until }
      open.aside.push(deliver(open, delivery).finally(parent.close).catch(this.#broken.reject))
    }
    return { own, aside, dice: dice.fork('acts') }
  }

  /** Whoever was silent sends to the hub after the merge, when nothing may count any more; some send again what counts. */
  async #epilogue(open: OpenRound): Promise<void> {
    const { tree, timeout } = this.#scene
    const again = open.behaviours.flatMap((behaviour, participant) => {
      const dice = this.#dice(open.round, participant).fork('epilogue')
      const late = behaviour === 'silent' && dice.chance(0.5)
      return late || dice.chance(0.1) ? [{ participant, dice }] : []
    })
    await Promise.all(
      again.map(async ({ participant, dice }) => {
        const variant = dice.chance(0.7) ? 0 : 2
        const to: Parent & { close: () => void } = connectionTo(tree.hubFor(participant), () => HUB)
        await deliver(open, { participant, variant, to, signal: timeout, dice }).finally(to.close)
      }),
    )
  }

  async #judge({ seed, round, ledger, shape }: RoundAtEdge): Promise<void> {
    const { operator, tree } = this.#scene
    const { parametersDigest, samples } = await operator.merged(round)
    const after = await operator.parameters(parametersDigest)
    const commit = join(tree.hub.directory, 'campaigns', CAMPAIGN, 'rounds', String(round), 'commit.json')
    const { updates } = CommitRecord.parse(JSON.parse(await readFile(commit, 'utf8')))
    const committed = updates.map(({ participant, digest }) => ({
      participant: numberOf(participant),
      digest,
    }))
    const merged = { sum: sumBehind(this.#before, after, samples), committed }
    const vectors = (participant: number, digest: string): Float32Array => {
      const variants = [0, 1, 2].map((variant) => vectorOf({ seed, round, participant, variant }, shape))
      return variants.find((vector) => digestOf(bytesOf(vector)) === digest) ?? new Float32Array(shape.length)
    }
    const counted = new Set(committed.map(({ participant }) => participant))
    const findings = [...judge(ledger.entries, merged, vectors), ...ledger.wrongAnswers(counted)]
    this.#found(round, findings)
    addRound(this.#counts, ledger, counted)
    this.#counts.throughControllers += updates.filter(({ through }) => through !== undefined).length
    this.#before = after
  }
}
