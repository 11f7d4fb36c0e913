// Edge controllers for a campaign on one machine: real ones, in this process or as programs of their own, with tokens that the test's
// own issuer signs.
import { mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'vitest'

import { type EdgeProcess, startEdgeProcess } from '#edge-agent/testing/edge-process.ts'
import { runAggregation } from '#edge-agent/controller/aggregate.ts'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { reviewByKeys } from '#federation/tier/serving/token-keys.ts'
import { type TestIssuer, testIssuer } from '#federation/tier/testing/issuer.ts'
import { tierNode } from '#federation/tier/testing/plans.ts'
import { type HubEndpoint, controllerEndpoint, parseHubAddress } from '#federation/wire/endpoint.ts'
import type { CampaignState, TierNode } from '#federation/wire/generated/tributary.ts'
import { reviewTestToken } from '#operator/hub/testing/fakes.ts'

import { CAMPAIGN, type CampaignSettings, LocalCampaign, NODES } from './local-campaign.ts'

export const PATIENCE = { timeout: 60_000 }

/** Where a controller is, as its state folder says. */
interface Introduction {
  readonly address: string
  readonly certificate: string
}

export class Zone {
  readonly node: TierNode
  readonly folder: string
  readonly #zones: Zones
  readonly #stop = new AbortController()
  #ended: Promise<unknown> = Promise.resolve()
  #process: EdgeProcess | undefined

  constructor(zones: Zones, node: TierNode, folder: string) {
    this.#zones = zones
    this.node = node
    this.folder = folder
  }

  /** In this process; known to the hub afterwards. */
  async start(): Promise<void> {
    await this.launch()
    await this.isThere()
  }

  /** In this process, wherever its parent is. */
  async launch(): Promise<void> {
    const { campaign } = this.#zones
    const running = runAggregation({
      ...{ hub: await this.#endpoint(), campaign: CAMPAIGN, tier: this.node.name },
      ...{ nodeAddress: '127.0.0.1', host: '127.0.0.1', port: 0, stateFolder: this.folder },
      ...{ softwareVersion: 'test', kernels: loadKernels().kernels, log: campaign.log },
      ...{ clock: { now: () => Date.now() }, now: () => performance.now(), random: Math.random },
      signal: this.#stop.signal,
    })
    this.#ended = running.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error
    })
    this.#ended.catch(() => undefined)
  }

  /** As a program of its own, to be killed. */
  async startProgram(): Promise<EdgeProcess> {
    const hub = await this.#endpoint()
    const environment = {
      TRIBUTARY_CAMPAIGN: CAMPAIGN,
      TRIBUTARY_TIER: this.node.name,
      TRIBUTARY_NODE_ADDRESS: '127.0.0.1',
      TRIBUTARY_PORT: '0',
    }
    const args = ['aggregate', '--state-folder', this.folder]
    // Each has a token file of its own.
    await mkdir(`${this.folder}-token`, { recursive: true })
    this.#process = await startEdgeProcess(`${this.folder}-token`, args, { hub, environment })
    await this.isThere()
    return this.#process
  }

  /** Without a word, as a power cut does; only for a program of its own. */
  async kill(): Promise<void> {
    await this.#process?.kill('SIGKILL')
    this.#process = undefined
  }

  /** Status of the program, once it has ended by itself. */
  get exited(): Promise<unknown> {
    return this.#process?.exited ?? Promise.reject(new Error('there is no program'))
  }

  async isThere(): Promise<void> {
    const connected = async (): Promise<boolean | undefined> => {
      const { tiers } = await this.#zones.campaign.state()
      return tiers.find(({ name }) => name === this.node.name)?.connected
    }
    await expect.poll(connected, PATIENCE).toBe(true)
  }

  /** Resolves with what it ended with. */
  get ended(): Promise<unknown> {
    return this.#ended
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the controller is stopped'))
    await this.#ended.catch(() => undefined)
    await this.kill()
  }

  /** Where the pod of a node finds it. */
  async endpointFor(node: string): Promise<HubEndpoint> {
    const token = await this.#zones.podToken(node)
    const { address, certificate } = await this.introduction()
    const parent = { tier: this.node.name, epoch: this.node.epoch, address, certificate }
    return controllerEndpoint(parent, async () => await Promise.resolve(token))
  }

  async introduction(): Promise<Introduction> {
    return await this.#zones.introductionOf(this.node.name)
  }

  /** Bytes of the blobs that it has. */
  async cachedBytes(): Promise<number> {
    const folder = join(this.folder, 'blobs', 'sha256')
    const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }

  async #endpoint(): Promise<HubEndpoint> {
    const { node, pod } = this.node
    return this.#zones.campaign.endpoint(await this.#zones.issuer.token({ node, pod }))
  }
}

export class Zones {
  readonly campaign: LocalCampaign
  readonly issuer: TestIssuer
  readonly #folder: string
  readonly #zones: Zone[] = []

  private constructor(campaign: LocalCampaign, issuer: TestIssuer, folder: string) {
    this.campaign = campaign
    this.issuer = issuer
    this.#folder = folder
  }

  static async begin(settings: CampaignSettings): Promise<Zones> {
    const issuer = await testIssuer()
    const signed = reviewByKeys(() => issuer.keys, { now: () => Date.now() })
    const campaign = await LocalCampaign.begin(settings, {
      reviewToken: async (token) => (await signed(token)) ?? (await reviewTestToken(token)),
      tokenKeys: async () => await Promise.resolve(issuer.keys),
    })
    return new Zones(campaign, issuer, await mkdtemp(join(tmpdir(), 'zones-')))
  }

  /** @param disk where its state folder is made; the temporary folder unless given */
  zone(name: string, nodes: readonly string[], changes: Partial<TierNode> = {}, disk = this.#folder): Zone {
    const node = { ...tierNode(name, nodes), ...changes }
    const zone = new Zone(this, node, join(disk, `${name}-${node.epoch}`))
    this.#zones.push(zone)
    return zone
  }

  /** From now on plans name these zones. */
  planWith(...zones: readonly Zone[]): void {
    const { campaign } = this
    const planOf = campaign.planOf.bind(campaign)
    campaign.planOf = (round, changes) => {
      return { ...planOf(round), tiers: zones.map(({ node }) => node), ...changes }
    }
  }

  /** Bytes of blobs that left the hub, to whomever. */
  async sentByHub(): Promise<number> {
    const metric = await this.campaign.hub.registry.getSingleMetric('tributary_hub_sent_bytes_total')?.get()
    return metric?.values[0]?.value ?? Number.NaN
  }

  /** With the hub's address, as the operator starts them. */
  async startPods(...nodes: readonly string[]): Promise<void> {
    const { campaign } = this
    for (const node of nodes) {
      const hub = campaign.endpoint(await this.podToken(node))
      campaign.startPod(node, campaign.stop.signal, hub).catch(() => undefined)
    }
  }

  /** The state once a round has ended with the updates of all nodes. */
  async roundDone(): Promise<CampaignState> {
    const done = async (): Promise<number | undefined> => (await this.campaign.state()).history[0]?.received
    await expect.poll(done, PATIENCE).toBe(NODES.length)
    return await this.campaign.state()
  }

  /** What the last round was merged to. */
  async model(): Promise<Float32Array> {
    const { history } = await this.campaign.state()
    return await this.campaign.parameters(history[0]?.parametersDigest ?? '')
  }

  async podToken(node: string): Promise<string> {
    return await this.issuer.token({ node, pod: `pod-${node}` })
  }

  /** As the hub has written it down. */
  async introductionOf(tier: string): Promise<Introduction> {
    const path = join(this.campaign.hub.directory, 'campaigns', CAMPAIGN, 'controllers', `${tier}.json`)
    const { hello } = JSON.parse(await readFile(path, 'utf8')) as { hello: Introduction }
    parseHubAddress(hello.address)
    return hello
  }

  async end(): Promise<void> {
    this.campaign.stop.abort(new Error('the test is over'))
    await Promise.all(this.#zones.map(async (zone) => await zone.stop()))
    await this.campaign.end()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
