// Whether the edge controllers of a completed campaign are still of use: while the version that it published is on its way to
// agents of their zones, it crosses each zone's uplink once (docs/decisions/0074-controllers-stay-for-the-roll-out.md). Pure.
import type { AgentState } from '#federation/wire/generated/tributary.ts'
import { isTrue } from '#operator/conditions.ts'
import type { Observation } from './decision.ts'
import { publishedVersion } from './situation.ts'
import type { Situation } from './situation.ts'
import { stateOf } from './tiers.ts'
import type { Placement } from './tiers.ts'

/** From the end of the campaign on; an agent that is slower fetches the version from the hub. */
const LONGEST_MS = 10 * 60_000

/**
 * Until when the controllers stay at most, in milliseconds since 1970; undefined when there is nothing to stay for: the campaign
 * goes on, failed, or published nothing, every agent that is there has the version or cannot load it, or it took too long.
 */
export function rollOutEnd(seen: Observation, situation: Situation, placed: Placement[]): number | undefined {
  if (situation.kind !== 'ended' || situation.outcome === 'Failed') return undefined
  const end = completedAt(seen) + LONGEST_MS
  if (seen.controllers.length === 0 || !seen.model || seen.now >= end) return undefined
  const { agents } = seen.model
  // A hub that starts again must not break off what the controllers are handing out.
  if (seen.campaign.kind === 'unreachable' || agents === undefined) return end
  const version = publishedVersion(seen)
  return version !== undefined && agents.some(awaits(version, servedBy(seen, placed))) ? end : undefined
}

/** Nodes whose controller is there. */
function servedBy(seen: Observation, placed: Placement[]): Set<string> {
  const there = placed.filter((placement) => stateOf(seen, placement)?.connected)
  return new Set(there.flatMap(({ members }) => members))
}

function awaits(published: number, served: Set<string>): (agent: AgentState) => boolean {
  return ({ node, connected, version, failedVersion }) =>
    connected && served.has(node) && version < published && failedVersion !== published
}

/** Now, in the pass that completes it. */
function completedAt({ round, now }: Observation): number {
  const { conditions } = round.status ?? {}
  if (!isTrue(conditions, 'Complete')) return now
  return Date.parse(conditions?.find(({ type }) => type === 'Complete')?.lastTransitionTime ?? '')
}
