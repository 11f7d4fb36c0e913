// Where a scenario plays: an operator behind a fault proxy, a scripted hub, a world, and the waits and checks between
// them. Without a golden run it learns; with one it judges.
import { setTimeout as sleep } from 'node:timers/promises'
import { nodes } from '#operator/kube/resources.ts'
import { startFaultProxy } from '#operator/kube/testing/fault-proxy.ts'
import type { FaultProxy, SeenRequest } from '#operator/kube/testing/fault-proxy.ts'
import type { KubeObject } from '#operator/kube/types.ts'
import { ScriptedHub } from '#operator/testing/scripted-hub.ts'
import { arm } from './arm.ts'
import type { Armed } from './arm.ts'
import { fastClock } from './clock.ts'
import { History } from './history.ts'
import { HubPort } from './hub-port.ts'
import type { Laboratory, Lane } from './laboratory.ts'
import { setReady } from './laboratory.ts'
import type { Mask } from './mask.ts'
import { Operators } from './operators.ts'
import type { Plan, Trace } from './plan.ts'
import { Safety } from './safety.ts'
import { firstDifferenceOf, stateOf } from './state.ts'
import type { State } from './state.ts'
import { confine, parsePath, Tracker } from './tracker.ts'
import { World } from './world.ts'

export interface StageOptions {
  laboratory: Laboratory
  lane: Lane
  /** States at the checkpoints of a run without faults; absent while they are learnt. */
  golden?: Readonly<Record<string, State>> | undefined
  plan?: Plan | undefined
  /** How long any one thing may take, on a machine that does other things, too. */
  patienceMs: number
  requestTimeoutMs: number
}

/** How much faster the operator's delays pass. */
const FASTER = 20
/** Nothing more was written for this long: whoever had something to write has written it. */
const QUIET_MS = { learning: 400, judging: 150 }

/** Looks, and how long the operator has for each. */
const POKES = 8
const POKE_MS = 120

export class Stage {
  readonly hub = new ScriptedHub()
  readonly namespace: string
  readonly lane: Lane
  readonly world: World
  readonly safety = new Safety(this.hub)
  /** States at checkpoints, by name. */
  readonly states: Record<string, State> = {}
  readonly #options: StageOptions
  readonly #tracker: Tracker
  readonly #opened = new Set<string>()
  #proxy!: FaultProxy
  #operators!: Operators
  #armed!: Armed
  #pokes = 0

  private constructor(options: StageOptions, namespace: string) {
    this.#options = options
    this.namespace = namespace
    this.lane = options.lane
    this.world = new World(options.laboratory.direct, namespace, fastClock(FASTER))
    this.#tracker = new Tracker(options.lane)
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { direct } = options.laboratory
    for (const node of options.lane.nodes) await setReady(direct, node, 'True')
    const stage = new Stage(options, await options.laboratory.namespace())
    await stage.world.ready()
    await stage.#build()
    return stage
  }

  async close(): Promise<void> {
    await this.#operators.stop()
    await this.#proxy.close()
    await this.world.stop()
  }

  get mask(): Mask {
    return { namespace: this.namespace, lane: this.lane.name }
  }

  /** Whether the plan's target came by. */
  get hit(): boolean {
    return this.#armed.hit
  }

  get troubles(): readonly string[] {
    return this.#operators.troubles
  }

  get trace(): Trace {
    const keys = (kind: string): string[] =>
      this.#tracker.seen.filter((each) => each.kind === kind).map(({ key }) => key)
    return { writes: keys('write'), reads: keys('read'), events: keys('event'), calls: keys('call') }
  }

  node(index: number): string {
    const name = this.lane.nodes[index]
    if (name === undefined) throw new RangeError(`a lane has no node ${index}`)
    return name
  }

  get direct(): Laboratory['direct'] {
    return this.#options.laboratory.direct
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const end = performance.now() + this.#options.patienceMs
    while (!condition()) {
      if (performance.now() > end) throw new Error(`waited ${this.#options.patienceMs} ms in vain: ${what}`)
      await sleep(10)
    }
  }

  /** All is as it was in the golden run; then nothing is written any more, whatever is looked at again. */
  async checkpoint(name: string): Promise<void> {
    const wanted = this.#options.golden?.[name]
    if (this.#options.golden && !wanted) throw new Error(`the golden run has no checkpoint ${name}`)
    let difference: string | undefined
    const isReached = (): boolean => {
      difference = wanted && firstDifferenceOf(wanted, this.#state())
      return difference === undefined
    }
    await this.until('', isReached).catch(() => undefined)
    if (difference !== undefined) throw new Error(`${name}: another end state: ${difference}`)
    await this.#settle(wanted ? QUIET_MS.judging : QUIET_MS.learning)
    this.states[name] = this.#state()
    const late = wanted && firstDifferenceOf(wanted, this.#state())
    if (late !== undefined) throw new Error(`${name}: did not stay: ${late}`)
    await this.#poke(name)
  }

  #state(): State {
    return stateOf(this.world, this.hub, this.#opened, this.mask)
  }

  async #build(): Promise<void> {
    const history = new History()
    this.#proxy = await startFaultProxy(this.#options.laboratory.kubeConfig, Date.now(), {
      rewrite: confine(this.mask),
      answered: (request, answer) => {
        this.safety.answered(request, answer)
        const { resource, name } = parsePath(request.path)
        if (request.method === 'GET' && name === '' && answer.status === 200)
          history.listed(resource, answer.body)
      },
      watched: (path, { type, object }) => {
        this.safety.seen(object)
        history.changed(parsePath(path).resource, type, object as KubeObject)
      },
    })
    const crash = (): void => {
      this.#operators.crash()
    }
    this.#armed = arm(this.#options.plan, { proxy: this.#proxy, tracker: this.#tracker, history, crash })
    this.#operators = new Operators({
      kubeConfig: this.#proxy.kubeConfig,
      port: () => this.#port(crash),
      cut: () => {
        this.#proxy.resetAll()
      },
      clock: fastClock(FASTER),
      requestTimeoutMs: this.#options.requestTimeoutMs,
    })
    this.#operators.start()
  }

  #port(crash: () => void): HubPort {
    return new HubPort({
      hub: this.hub,
      crash,
      fate: (method, detail) => this.#armed.call(method, detail),
      planned: (uid, opens) => {
        this.safety.planned(uid, opens)
      },
      took: ({ uid, current }) => {
        if (current)
          this.#opened.add(
            `${uid} round ${current.round}.${current.attempt} of ${current.participants.join()}`,
          )
      },
    })
  }

  /** Without Events: what repeats is written when its interval ends, which may be now. */
  get #writes(): SeenRequest[] {
    return this.#proxy.requests.filter(
      ({ method, path }) => method !== 'GET' && parsePath(path).resource !== 'events',
    )
  }

  async #settle(quietMs: number): Promise<void> {
    let before = -1
    let since = performance.now()
    const isQuiet = (): boolean => {
      if (this.#writes.length !== before || this.#armed.isHolding) {
        before = this.#writes.length
        since = performance.now()
      }
      return performance.now() - since >= quietMs
    }
    await this.until('the operator writes nothing any more', isQuiet)
  }

  /**
   * A node changes in a way that concerns nobody, so that everything is looked at again. An operator that was behind may
   * write once more; one that writes at every look never ends.
   */
  async #poke(name: string): Promise<void> {
    let written: SeenRequest[] = []
    for (let attempt = 0; attempt < POKES; attempt++) {
      this.#pokes += 1
      const before = this.#writes.length
      const labels = { poke: `${this.namespace}-${this.#pokes}` }
      await this.direct.mergePatch(nodes, { name: this.node(0) }, { metadata: { labels } })
      await sleep(POKE_MS)
      written = this.#writes.slice(before)
      if (written.length === 0) return
    }
    const lines = written.map(({ method, path }) => `${method} ${path}`)
    throw new Error(`${name}: writes although all was settled: ${lines.join(', ')}`)
  }
}
