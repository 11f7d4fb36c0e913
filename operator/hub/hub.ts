// The hub: reads what its volume holds, goes on with every campaign from there, and serves training pods, agents and
// the operator on one TLS port. It never writes a Kubernetes object and reaches nothing but what it is given.
import { TierError } from '#federation/tier/serving/errors.ts'
import { BlobServer } from '#federation/tier/serving/blob-server.ts'
import { Changes } from './changes.ts'
import { changeOfCampaign, changeOfModel, controlService } from './control.ts'
import { Agents, distributionService } from './distribution.ts'
import { FleetHold } from './fleet-hold.ts'
import { startHealthServer } from '#federation/tier/serving/health.ts'
import { httpListener, type Routes } from '#federation/tier/serving/http.ts'
import { Identities, requireParticipant, speaksForTier } from '#federation/tier/serving/identity.ts'
import { hubMetrics, type HubMetrics } from '#federation/tier/serving/metrics.ts'
import { Mirrors } from './mirrors.ts'
import { Models } from './models.ts'
import type { ReviewedIdentity } from '#federation/tier/serving/identity.ts'
import { DEFAULT_FLEET_HOLD_MS, DEFAULT_IDLE_MS, DEFAULT_KEEPALIVE_MS } from './options.ts'
import type { HubOptions, RunningHub } from './options.ts'
import { participationService } from '#federation/tier/participation.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { Campaigns } from '#federation/tier/rounds/campaigns.ts'
import { phaseOf } from '#federation/tier/rounds/decide.ts'
import { RootStages } from '#federation/tier/rounds/root-stages.ts'
import { startMuxServer, type MuxServer } from '#federation/tier/serving/server.ts'
import { BlobStore } from '#federation/tier/store/blobs.ts'
import { SpareFiles } from '#federation/tier/store/spares.ts'
import { makeDirectory, removeTemporaryFiles } from '#federation/tier/store/files.ts'
import { checkVolumeFormat } from '#federation/tier/store/format.ts'
import { Uploads } from '#federation/tier/updates/uploads.ts'
import { aggregationService } from '#federation/tier/tiers/aggregation.ts'
import {
  AggregationService,
  ControlService,
  DistributionService,
  ParticipationService,
} from '#federation/wire/generated/tributary.ts'

export async function runHub(options: HubOptions): Promise<RunningHub> {
  const hub = await Hub.open(options)
  let ready = false
  const { host } = options
  const health = await startHealthServer({
    ...{ registry: options.registry, host, port: options.healthPort },
    ready: { hub: () => (ready ? undefined : 'starting or stopping') },
  })
  const server = await hub.listen(host)
  ready = true
  options.logger.info({ port: server.port, healthPort: health.port }, 'hub is serving')
  return {
    port: server.port,
    healthPort: health.port,
    close: async () => {
      ready = false
      await hub.stop()
      await server.close()
      await health.close()
    },
  }
}

class Hub {
  readonly #options: HubOptions
  readonly #blobs: BlobStore
  readonly #spares: SpareFiles
  readonly #changes = new Changes()
  readonly #agents = new Agents()
  readonly #hold: FleetHold
  readonly #identities: Identities
  readonly #metrics: HubMetrics
  readonly #models: Models
  readonly #campaigns: Campaigns
  readonly #mirrors = new Mirrors(() => this.#campaigns.all())

  static async open(options: HubOptions): Promise<Hub> {
    await makeDirectory(options.directory)
    await removeTemporaryFiles(options.directory)
    await checkVolumeFormat(options.directory)
    const hub = new Hub(options)
    await hub.#blobs.open()
    await hub.#spares.open()
    await hub.#models.load()
    await hub.#hold.load(hub.#models.all().length > 0)
    await hub.#campaigns.load()
    hub.#sweep()
    return hub
  }

  private constructor(options: HubOptions) {
    const { directory, reviewToken, clock, registry, logger, compiler } = options
    this.#options = options
    this.#blobs = new BlobStore(directory)
    this.#spares = new SpareFiles(directory)
    this.#identities = new Identities(reviewToken, clock)
    this.#metrics = hubMetrics(registry, () => countPhases(this.#campaigns.all()))
    const holdMs = options.fleetHoldMs ?? DEFAULT_FLEET_HOLD_MS
    this.#hold = new FleetHold(directory, { holdMs, clock, onEnd: () => this.#agents.refresh() })
    const sweep = (): void => this.#sweep()
    this.#models = new Models(directory, {
      blobs: this.#blobs,
      source: options.modelSource,
      compiler,
      signingKey: options.signingKey,
      clock,
      logger,
      sweep,
      mirrorOf: (uid, node) => this.#mirrors.of(uid, node),
      planComes: async () => this.#hold.planComes(),
      onChange: (model) => {
        this.#changes.notify(changeOfModel(model))
        this.#agents.refresh()
        this.#campaigns.modelChanged(model.plan.uid)
      },
    })
    const latestVersion = (uid: string): { version: number; digest: string } | undefined =>
      this.#models.latestVersion(uid)
    const shared = { spares: this.#spares, clock, logger, metrics: this.#metrics }
    const { kernels } = options
    const stages = new RootStages({ ...shared, blobs: this.#blobs, compiler, kernels, latestVersion })
    this.#campaigns = new Campaigns(directory, { ...shared, stages, sweep }, (campaign) => {
      this.#changes.notify(changeOfCampaign(campaign), stageOf(campaign))
      if (this.#mirrors.haveChanged(campaign)) this.#agents.refresh()
    })
  }

  async listen(host: string | undefined): Promise<MuxServer> {
    const { tls, port, keepaliveMs, logger } = this.#options
    return startMuxServer({
      ...tls,
      host,
      port,
      keepaliveMs: keepaliveMs ?? DEFAULT_KEEPALIVE_MS,
      idleMs: this.#options.idleMs ?? DEFAULT_IDLE_MS,
      services: this.#services(),
      onRequest: httpListener(this.#routes(), logger),
      onConnectionError: (error) => logger.debug({ err: error }, 'connection failed'),
    })
  }

  async stop(): Promise<void> {
    this.#changes.stop()
    this.#hold.stop()
    await this.#campaigns.stop()
    await this.#models.stop()
    await this.#options.compiler.close()
  }

  #services(): {
    definition:
      | typeof AggregationService
      | typeof ControlService
      | typeof DistributionService
      | typeof ParticipationService
    implementation:
      | ReturnType<typeof aggregationService>
      | ReturnType<typeof controlService>
      | ReturnType<typeof distributionService>
      | ReturnType<typeof participationService>
  }[] {
    const { clock, logger, operatorUsername, agentUsername, tokenKeys } = this.#options
    const shared = { identities: this.#identities, logger, metrics: this.#metrics, clock }
    const [models, campaigns] = [this.#models, this.#campaigns]
    const control = { ...shared, models, campaigns, changes: this.#changes, operatorUsername }
    const distribution = { ...shared, models, agentUsername, agents: this.#agents, hold: this.#hold }
    const aggregation = { ...shared, campaigns, tokenKeys, agentUsername }
    return [
      { definition: AggregationService, implementation: aggregationService(aggregation) },
      { definition: ControlService, implementation: controlService(control) },
      { definition: DistributionService, implementation: distributionService(distribution) },
      { definition: ParticipationService, implementation: participationService({ ...shared, campaigns }) },
    ]
  }

  #routes(): Routes {
    const { clock, kernels, idleMs = DEFAULT_IDLE_MS } = this.#options
    const shared = { metrics: this.#metrics, idleMs }
    const mayRead = (identity: ReviewedIdentity, digest: string): boolean => this.#mayRead(identity, digest)
    const blobs = new BlobServer({ ...shared, blobs: this.#blobs, mayRead })
    const campaign = (uid: string): Campaign | undefined => this.#campaigns.get(uid)
    const uploads = new Uploads({ ...shared, campaign, clock, kernels, spares: this.#spares })
    const identify = async (authorization: string | undefined): Promise<ReviewedIdentity> =>
      this.#identities.identify(authorization)
    return {
      blob: async (exchange, digest) =>
        blobs.serve(exchange, await identify(exchange.request.headers.authorization), digest),
      update: async (exchange, key) =>
        uploads.serve(exchange, await identify(exchange.request.headers.authorization), key),
    }
  }

  #mayRead(identity: ReviewedIdentity, digest: string): boolean {
    const { operatorUsername, agentUsername } = this.#options
    if (identity.username === operatorUsername) return true
    if (identity.username === agentUsername) {
      return this.#models.all().some((model) => model.referencedBlobs().includes(digest))
    }
    return this.#campaigns.all().some((campaign) => this.#mayReadOf(campaign, identity, digest))
  }

  /** An edge controller hands on what its pods and its agents need. */
  #mayReadOf(campaign: Campaign, identity: ReviewedIdentity, digest: string): boolean {
    const isController = speaksForTier(identity, campaign)
    if (!isController && !takesPart(identity, campaign)) return false
    if (campaign.referencedBlobs().includes(digest)) return true
    return (
      isController && (this.#models.get(campaign.plan.modelUid)?.referencedBlobs() ?? []).includes(digest)
    )
  }

  #sweep(): void {
    this.#blobs.sweep(
      () =>
        new Set([
          ...this.#models.all().flatMap((model) => model.referencedBlobs()),
          ...this.#campaigns.all().flatMap((campaign) => campaign.referencedBlobs()),
        ]),
    )
  }
}

/** What of a campaign the operator acts on at once: its round, and how far that is. */
function stageOf({ current, failure }: Campaign): string {
  const { number = 0, attempt, commit, result, closed } = current ?? {}
  const records = [commit, result, closed, failure].map((record) => record !== undefined)
  return JSON.stringify([number, attempt?.attempt, current?.isShort(), ...records])
}

function takesPart(identity: ReviewedIdentity, campaign: Campaign): boolean {
  try {
    requireParticipant(identity, campaign)
    return true
  } catch (error) {
    if (error instanceof TierError) return false
    throw error
  }
}

function countPhases(campaigns: readonly Campaign[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const campaign of campaigns) {
    const round = campaign.current
    if (!round) continue
    const phase = phaseOf(campaign.facts(round))
    counts.set(phase, (counts.get(phase) ?? 0) + 1)
  }
  return counts
}
