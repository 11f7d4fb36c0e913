// The parts of an edge controller and how they hang together: the parent's plan makes the campaign, the runner and the uploads are
// those of the hub, a committed round is delivered upward, and what those below ask for is fetched from above once.
import { join } from 'node:path'

import type { Registry } from 'prom-client'

import { participationService } from '#federation/tier/participation.ts'
import { checkCampaignPlan, hasControllers } from '#federation/tier/plans.ts'
import { Campaign } from '#federation/tier/rounds/campaign.ts'
import { CampaignRunner } from '#federation/tier/rounds/runner.ts'
import { noteUnfetched } from '#federation/tier/rounds/shortage.ts'
import { httpListener, type Routes } from '#federation/tier/serving/http.ts'
import { Identities, type ReviewedIdentity } from '#federation/tier/serving/identity.ts'
import { type HubMetrics, hubMetrics } from '#federation/tier/serving/metrics.ts'
import { type MuxServer, startMuxServer } from '#federation/tier/serving/server.ts'
import { reviewByKeys } from '#federation/tier/serving/token-keys.ts'
import { BlobStore } from '#federation/tier/store/blobs.ts'
import { listDirectory, removeTree } from '#federation/tier/store/files.ts'
import { SpareFiles } from '#federation/tier/store/spares.ts'
import { aggregationService } from '#federation/tier/tiers/aggregation.ts'
import type { AggregationContext } from '#federation/tier/tiers/controller-session.ts'
import { Uploads } from '#federation/tier/updates/uploads.ts'
import {
  AggregationService,
  LateUpdates,
  ParticipationService,
  type TierPlan,
} from '#federation/wire/generated/tributary.ts'
import type { SelfSigned } from '#federation/wire/self-signed.ts'

import { mayRead, wantedBlobs } from './access.ts'
import { BlobCache } from './blob-cache.ts'
import { ControllerStages } from './controller-stages.ts'
import { Delivery } from './delivery.ts'
import type { AggregateOptions } from './options.ts'
import type { ParentLink } from './parent-link.ts'
import { PlanInbox } from './plan-inbox.ts'
import { type Problem, Reporter, problemOf, reportWithoutPlan } from './tier-report.ts'
import type { TierMemory } from './tier-memory.ts'
import { WayUp } from './way-up.ts'

export interface ControllerParts extends AggregateOptions {
  readonly memory: TierMemory
  readonly registry: Registry
  readonly onFenced: (detail: string) => void
  /** The campaign is over: nothing of it is needed here any more. */
  readonly onFinished: (detail: string) => void
}

const KEEPALIVE_MS = 14_000
const IDLE_MS = 30_000
/** Nothing counts in a later round here: what is late is handed on, and the hub finds a place for it where the manifest says so. */
const OWN_RULES = { lateUpdates: 'DROP' } as const

/** What exists once there is a plan. */
interface Running {
  readonly campaign: Campaign
  readonly runner: CampaignRunner
  readonly delivery: Delivery
  readonly reporter: Reporter
}

export class Controller {
  readonly #parts: ControllerParts
  readonly #tls: SelfSigned
  readonly #name: string
  readonly #blobs: BlobStore
  readonly #spares: SpareFiles
  readonly #metrics: HubMetrics
  readonly #identities: Identities
  readonly #cache: BlobCache
  #running: Running | undefined
  readonly #up = new WayUp()
  readonly #inbox = new PlanInbox({
    follow: async (plan) => await this.#receive(plan),
    onProblem: (error) => this.#notFollowed(error),
  })
  #problem: Problem | undefined

  static async open(parts: ControllerParts, tls: SelfSigned): Promise<Controller> {
    const controller = new Controller(parts, tls)
    await controller.#blobs.open()
    await controller.#spares.open()
    await controller.#cache.open()
    await controller.#load()
    return controller
  }

  private constructor(parts: ControllerParts, tls: SelfSigned) {
    const { stateFolder, clock, memory, registry, random, signal, log } = parts
    this.#parts = parts
    this.#tls = tls
    this.#name = `the edge controller of ${parts.tier}`
    this.#blobs = new BlobStore(stateFolder)
    this.#spares = new SpareFiles(stateFolder)
    this.#metrics = hubMetrics(registry, () => new Map())
    this.#identities = new Identities(
      reviewByKeys(() => memory.plan?.tokenKeys, clock),
      clock,
    )
    this.#cache = new BlobCache({
      blobs: this.#blobs,
      parent: this.#up,
      referenced: () => this.#referenced(),
      idleMs: IDLE_MS,
      onFetched: () => undefined,
      onSent: (bytes) => this.#metrics.bytesSent.inc(bytes),
      onProblem: (error) => log.warn({ error: error.message }, 'fetching a blob'),
      onDiskFull: (missing) => {
        if (this.#running) noteUnfetched(this.#running.campaign, missing)
      },
      ...{ random, signal },
    })
  }

  get hasPlan(): boolean {
    return this.#running !== undefined
  }

  async listen(port: number): Promise<MuxServer> {
    const { log } = this.#parts
    return await startMuxServer({
      ...{ key: this.#tls.key, certificate: this.#tls.certificate, host: this.#parts.host, port },
      ...{ keepaliveMs: KEEPALIVE_MS, idleMs: IDLE_MS },
      services: this.#services(),
      onRequest: httpListener(this.#routes(), log, this.#name),
      onConnectionError: (error) => log.debug({ err: error }, 'connection failed'),
    })
  }

  /** Follows the parent; rejects with the signal's reason. */
  async follow(link: ParentLink): Promise<never> {
    this.#up.open(link)
    const { onFenced } = this.#parts
    if (this.#running) this.#begin(this.#running)
    return await link.follow({
      speakThrough: (send) => {
        this.#speak = send
        this.#running?.reporter.speakThrough(send)
        this.#running?.delivery.poke()
      },
      receive: (plan) => this.#inbox.put(plan),
      onFenced,
    })
  }

  #speak: Parameters<Reporter['speakThrough']>[0] | undefined

  async stop(): Promise<void> {
    await this.#inbox.stop()
    this.#running?.reporter.stop()
    await this.#running?.runner.stop()
    await this.#running?.delivery.ended()
  }

  async #receive(plan: TierPlan): Promise<void> {
    await this.#parts.memory.keep(plan)
    this.#problem = undefined
    await this.#follow(plan)
    this.#running?.campaign.changed()
    this.#running?.delivery.poke()
    this.#cache.prefetch(wantedBlobs(plan))
    this.#sweep()
  }

  #notFollowed(error: unknown): void {
    this.#parts.log.error({ err: error }, 'a plan could not be followed: trying again')
    this.#problem = problemOf(error, this.#name)
    if (this.#running) this.#running.campaign.changed()
    else this.#speak?.(reportWithoutPlan(this.#problem))
  }

  async #load(): Promise<void> {
    const { stateFolder, campaign, memory, log } = this.#parts
    const folder = join(stateFolder, 'campaigns')
    for (const uid of await listDirectory(folder)) if (uid !== campaign) await removeTree(join(folder, uid))
    if (memory.plan?.plan?.uid !== campaign) return
    await this.#follow(memory.plan)
    log.info({ epoch: memory.plan.epoch }, 'goes on with what is on the disk')
    this.#sweep()
  }

  /** Makes the campaign what the plan says; its runner sees to the rest. */
  async #follow({ plan, settledRound }: TierPlan): Promise<void> {
    if (plan?.uid !== this.#parts.campaign)
      throw new Error(`the parent's plan is for campaign ${plan?.uid ?? '(none)'}`)
    const checked = checkCampaignPlan({ ...plan, ...OWN_RULES })
    const parent = { settledRound, takesLate: plan.lateUpdates !== LateUpdates.DROP }
    const directory = join(this.#parts.stateFolder, 'campaigns', plan.uid)
    const campaign =
      this.#running?.campaign ??
      (await Campaign.load(directory)) ??
      (await Campaign.create(directory, checked))
    campaign.parent = parent
    if (!this.#running) {
      this.#running = this.#run(campaign)
      if (this.#up.isOpen) this.#begin(this.#running)
    }
    await campaign.applyPlan(checked, this.#parts.clock.now())
    if (!hasControllers(checked)) this.#parts.onFinished('the campaign is over')
  }

  #run(campaign: Campaign): Running {
    const { clock, log: logger, memory, tier, kernels, random, backoff, onFenced } = this.#parts
    const delivery = new Delivery(campaign, {
      ...{ tier, kernels, clock, logger, random, backoff, onFenced },
      ...{ blobs: this.#blobs, spares: this.#spares },
      parent: this.#up,
      settledRound: () => memory.plan?.settledRound ?? 0,
    })
    const stages = new ControllerStages({
      ...{ clock, logger, plan: () => memory.plan },
      onUpdates: () => delivery.poke(),
    })
    const shared = { stages, spares: this.#spares, clock, logger, metrics: this.#metrics }
    const runner = new CampaignRunner(campaign, { ...shared, tier: this.#name, sweep: () => this.#sweep() })
    const reporter = new Reporter(campaign, () => delivery.problem ?? this.#problem)
    return { campaign, runner, delivery, reporter }
  }

  #begin({ reporter, delivery }: Running): void {
    if (this.#speak) reporter.speakThrough(this.#speak)
    delivery.poke()
  }

  #services(): Parameters<typeof startMuxServer>[0]['services'] {
    const { clock, log: logger, memory } = this.#parts
    const campaigns = { get: (uid: string) => this.#campaign(uid) }
    const shared = {
      identities: this.#identities,
      logger,
      tier: this.#name,
      metrics: this.#metrics,
      clock,
      campaigns,
    }
    const below: AggregationContext = {
      ...shared,
      tokenKeys: async () => {
        const keys = memory.plan?.tokenKeys
        return await (keys
          ? Promise.resolve(keys)
          : Promise.reject(new Error('the parent has sent no keys yet')))
      },
      get agentUsername() {
        return memory.plan?.agentUsername ?? ''
      },
    }
    return [
      { definition: ParticipationService, implementation: participationService(shared) },
      { definition: AggregationService, implementation: aggregationService(below) },
    ]
  }

  #routes(): Routes {
    const { clock, kernels } = this.#parts
    const campaign = (uid: string): Campaign | undefined => this.#campaign(uid)
    const uploads = new Uploads({
      ...{ campaign, clock, kernels, idleMs: IDLE_MS, metrics: this.#metrics, spares: this.#spares },
    })
    const identify = async (authorization: string | undefined): Promise<ReviewedIdentity> =>
      await this.#identities.identify(authorization)
    return {
      blob: async (exchange, digest) => {
        const identity = await identify(exchange.request.headers.authorization)
        mayRead(identity, digest, { plan: this.#parts.memory.plan, campaign: this.#running?.campaign })
        await this.#cache.serve(exchange, digest)
      },
      update: async (exchange, key) =>
        await uploads.serve(exchange, await identify(exchange.request.headers.authorization), key),
    }
  }

  #campaign(uid: string): Campaign | undefined {
    return uid === this.#parts.campaign ? this.#running?.campaign : undefined
  }

  #referenced(): ReadonlyMap<string, number | undefined> {
    const sizes = new Map<string, number | undefined>()
    for (const digest of this.#running?.campaign.referencedBlobs() ?? []) sizes.set(digest, undefined)
    const plan = this.#parts.memory.plan
    for (const { digest, size } of plan ? wantedBlobs(plan) : []) sizes.set(digest, size)
    return sizes
  }

  #sweep(): void {
    this.#blobs.sweep(() => this.#cache.kept())
    this.#cache.dropPartials().catch((error: unknown) => this.#parts.log.warn({ err: error }, 'sweeping'))
  }
}
