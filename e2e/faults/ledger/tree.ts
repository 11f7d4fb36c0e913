/*
 * The tree that a storm rages in: a hub and, where the storm wants them, edge controllers, each a process of its own that can be
 * killed. A controller may be replaced by one of a later epoch on another folder; the one before it may still run, or come back.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MortalController } from '#edge-agent/testing/mortal-controller.ts'
import { testIssuer, type TestIssuer } from '#federation/tier/testing/issuer.ts'
import { CAMPAIGN, tierNode } from '#federation/tier/testing/plans.ts'
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import type { TierNode } from '#federation/wire/generated/tributary.ts'
import { MortalHub } from '#operator/hub/testing/mortal-hub.ts'
import { TroubledLink, type LinkFault } from './troubled-link.ts'

export interface TreeSettings {
  readonly model: Uint8Array
  readonly participants: number
  /** 0: everybody belongs to the hub. */
  readonly controllers: number
  /** Modules that processes load first. */
  readonly preloads?: {
    readonly hub?: readonly URL[]
    readonly controller?: (zone: number) => readonly URL[]
  }
  /** Faults of connections, in the order in which they are made; connections go straight to their ends unless given. */
  readonly weather?: { readonly ofPods: () => LinkFault; readonly ofControllers: () => LinkFault }
  /** How long controllers wait between attempts to reach the hub; as everywhere unless given. */
  readonly backoff?: BackoffOptions
}

/** An edge controller of one epoch. */
export interface Seat {
  /** Of its zone. */
  readonly index: number
  readonly tier: TierNode
  readonly folder: string
  readonly controller: MortalController
  readonly link: TroubledLink | undefined
}

/** Longer than any storm: what waits for it would hide that something is stuck. */
const ZONE_DEADLINE_SECONDS = 850
/** Where links to controllers listen, so that each has the port of its controller. */
const LINK_ADDRESS = '127.0.0.2'

export class Tree {
  readonly hub: MortalHub
  /** The controllers that speak for their zones, by zone. */
  readonly seats: Seat[] = []
  /** Controllers that were replaced. */
  readonly replaced: Seat[] = []
  readonly #settings: TreeSettings
  readonly #issuer: TestIssuer
  readonly #folder: string
  readonly #links: readonly [pods: TroubledLink, controllers: TroubledLink] | undefined

  private constructor(
    settings: TreeSettings,
    parts: { hub: MortalHub; issuer: TestIssuer; folder: string; links: Tree['links'] },
  ) {
    this.#settings = settings
    this.hub = parts.hub
    this.#issuer = parts.issuer
    this.#folder = parts.folder
    this.#links = parts.links
  }

  /** The hub runs; controllers have to be started. */
  static async plant(settings: TreeSettings): Promise<Tree> {
    const { model, weather, preloads, controllers } = settings
    const issuer = await testIssuer()
    const folder = await mkdtemp(join(tmpdir(), 'tributary-tree-'))
    const hub = await MortalHub.create(model, { preloads: preloads?.hub ?? [], tokenKeys: issuer.keys })
    const port = (): number => hub.endpoint.port
    const links: Tree['links'] = weather && [
      await TroubledLink.open(port, weather.ofPods),
      await TroubledLink.open(port, weather.ofControllers),
    ]
    const tree = new Tree(settings, { hub, issuer, folder, links })
    for (let index = 0; index < controllers; index++) tree.seats.push(await tree.#seat(index, 1))
    return tree
  }

  get links(): readonly [pods: TroubledLink, controllers: TroubledLink] | undefined {
    return this.#links
  }

  /** As a plan names them. */
  get tiers(): TierNode[] {
    return this.seats.map(({ tier }) => tier)
  }

  async startControllers(): Promise<void> {
    await Promise.all(this.seats.map(async ({ controller }) => controller.start()))
  }

  /** The hub as the pod of a participant knows it. */
  hubFor(participant: number): HubEndpoint {
    const node = nodeName(participant)
    let token: Promise<string> | undefined
    const readToken = (): Promise<string> => (token ??= this.#issuer.token({ node, pod: `pod-${node}` }))
    return { ...this.#hubAt(this.#links?.[0]), readToken }
  }

  /** `hub`, or the zone and the epoch of a controller. */
  nameOf({ authority, port }: HubEndpoint): string {
    if (authority === this.hub.endpoint.authority) return HUB
    const seat = [...this.seats, ...this.replaced].find(({ link }) => link?.port === port)
    return seat ? nameOfSeat(seat) : 'a controller'
  }

  /** A controller of the next epoch, not started yet; from now on plans name it. */
  async replace(index: number): Promise<{ before: Seat; next: Seat }> {
    const before = this.seats[index] as Seat
    const next = await this.#seat(index, before.tier.epoch + 1)
    this.replaced.push(before)
    this.seats[index] = next
    return { before, next }
  }

  /** How many connections had which fault. */
  faults(): Record<LinkFault['kind'], number> {
    const sum = { none: 0, reset: 0, mute: 0, hold: 0, slow: 0 }
    const own = [...this.seats, ...this.replaced].map(({ link }) => link)
    for (const link of [...own, ...(this.#links ?? [])]) {
      for (const [kind, count] of Object.entries(link?.counts ?? {})) sum[kind as LinkFault['kind']] += count
    }
    return sum
  }

  async fell(): Promise<void> {
    const seats = [...this.seats, ...this.replaced]
    await Promise.all(seats.map(async ({ controller }) => controller.kill()))
    await this.hub.remove()
    const links = [...seats.map(({ link }) => link), ...(this.#links ?? [])]
    await Promise.all(links.map(async (link) => link?.close()))
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #seat(index: number, epoch: number): Promise<Seat> {
    const { weather, backoff, preloads, controllers, participants } = this.#settings
    const name = `zone-${index}`
    const nodes = Array.from({ length: participants }, (_, participant) => participant)
      .filter((participant) => participant % controllers === index)
      .map(nodeName)
    const pod = `pod-of-${name}-${epoch}`
    const node = `node-of-${name}-${epoch}`
    const tier: TierNode = {
      ...{ ...tierNode(name, nodes), epoch, node, pod, deadlineSeconds: ZONE_DEADLINE_SECONDS },
      // Of every other zone the hub takes the updates itself while there is no controller.
      replacedWhenLost: index % 2 === 0,
    }
    // The controller listens on the port of its link, on another address.
    const port = (): number => link?.port ?? 0
    const link: TroubledLink | undefined =
      weather && (await TroubledLink.open(port, weather.ofPods, LINK_ADDRESS))
    const folder = join(this.#folder, `${name}-${epoch}`)
    const settings = {
      ...{ hub: this.#hubAt(this.#links?.[1]), token: await this.#issuer.token({ node, pod }) },
      ...{ campaign: CAMPAIGN, tier: name, nodeAddress: link ? LINK_ADDRESS : '127.0.0.1', port: port() },
      ...{ stateFolder: folder, backoff },
    }
    const controller = new MortalController(settings, preloads?.controller?.(index))
    return { index, tier, folder, controller, link }
  }

  #hubAt(link: TroubledLink | undefined): Omit<HubEndpoint, 'readToken'> {
    const { port, authority } = this.hub.endpoint
    return { host: '127.0.0.1', port: link?.port ?? port, authority }
  }
}

export const HUB = 'hub'
export const nameOfSeat = ({ tier }: Seat): string => `${tier.name}/${tier.epoch}`
export const nodeName = (participant: number): string => `node-${participant}`
export const numberOf = (node: string): number => Number(node.slice('node-'.length))

/** In words, which controllers that were replaced, and still ran or came back, have not ended by themselves. */
export async function stillThere(replaced: readonly Seat[], timeout: AbortSignal): Promise<string[]> {
  const late = new Promise<void>((resolve) => {
    if (timeout.aborted) resolve()
    timeout.addEventListener('abort', () => resolve())
  })
  const findings: string[] = []
  for (const seat of replaced) {
    await Promise.race([seat.controller.gone(), late])
    const { isRunning, exitCode } = seat.controller
    if (!isRunning && (exitCode ?? 0) === 0) continue
    const how = isRunning ? 'still runs' : `ended with ${exitCode}`
    findings.push(`the controller ${nameOfSeat(seat)}, which was replaced, ${how}`)
  }
  return findings
}
