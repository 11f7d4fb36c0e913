/*
 * Who of a tree dies: which process, what of its disk, and by what its round is seen to go on.
 */
import type { MortalProcess } from '#federation/tier/testing/mortal-process.ts'
import type { CampaignState } from '#federation/wire/generated/tributary.ts'
import type { Tree } from '../ledger/tree.ts'

export type VictimName = 'hub' | 'controller'

export interface Victim {
  readonly process: MortalProcess & { readonly start: () => Promise<void> }
  /** Its own. */
  readonly volume: string
  /** Volumes on which an accepted update means that its node does not train again. */
  readonly accepts: readonly string[]
  /** What of a campaign's state moves when the round goes on for those that the victim serves. */
  readonly stepOf: (state: CampaignState) => string
}

/** The controller is that of the first zone. */
export function victimOf(name: VictimName, { hub, seats }: Tree): Victim {
  const accepts = [hub.directory, ...seats.map(({ folder }) => folder)]
  if (name === 'hub') return { process: hub, volume: hub.directory, accepts, stepOf: stepOfAll }
  const [seat] = seats
  if (!seat) throw new Error('a tree without controllers has none that could die')
  const { controller, folder, tier } = seat
  return { process: controller, volume: folder, accepts, stepOf: (state) => stepOfZone(state, tier.name) }
}

function stepOfAll({ current }: CampaignState): string {
  const { round = 0, phase, received, evaluations } = current ?? {}
  return JSON.stringify([round, phase, received, evaluations])
}

/** What the other zones bring is no step of this one; only all of them together are one. */
function stepOfZone({ current, tiers }: CampaignState, zone: string): string {
  const { round = 0, phase, evaluations } = current ?? {}
  const delivered = tiers.find(({ name }) => name === zone)?.delivered
  return JSON.stringify([round, phase, evaluations, delivered])
}
