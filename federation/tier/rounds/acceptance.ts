// What becomes of an update that a node brings: it counts, in the round that its record names, or it is late. Whatever is said
// here is on the disk first, in one write for each update: that record is the acknowledgement.
import { TierError } from '../serving/errors.ts'
import type { ConflictRecord, UpdateRecord } from '../store/records.ts'
import { placeUpdate, type Placing } from './buffer.ts'
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'

/** The round in whose merge an update of one node, or a sum over several, to this one would count, if there is any. */
export function placeOf(campaign: Campaign, round: Round, ...nodes: readonly string[]): Placing {
  const { buffering, buffers, current, plan } = campaign
  if (!buffering || !current) {
    if (round.isCollecting() || isHandedOn(campaign, round)) return { round: round.number }
    return { refusal: `round ${round.number} no longer takes updates` }
  }
  const facts = {
    ...buffering,
    current: current.number,
    committed: current.commit !== undefined,
    lastRound: Math.max(current.number, plan.round?.rounds ?? 0),
    // All nodes of a sum have their place together: nobody counts twice in a round.
    counting: (number: number) => {
      const counting = buffers.of(number)
      return { size: counting.size, has: () => nodes.some((node) => counting.has(node)) }
    },
  }
  return placeUpdate(facts, nodes.length === 1 ? (nodes[0] ?? '') : `${nodes.length} nodes`, round.number)
}

/** Whether what comes to this round, which is over here, goes to the tier above, which finds a place for it. */
function isHandedOn({ parent, current }: Campaign, round: Round): boolean {
  const isOver = round.commit !== undefined || round !== current
  return isOver && parent?.takesLate === true && round.number > parent.settledRound
}

/**
 * Makes an update count, if it still can. False when one of its node does: while its bytes were on the way, the sum of an edge
 * controller may have brought it.
 */
export async function acceptUpdate(
  campaign: Campaign,
  round: Round,
  update: Omit<UpdateRecord, 'countsIn'>,
): Promise<boolean> {
  const isNew = await campaign.locked(async () => {
    if (round.updates.has(update.participant)) return false
    const placing = placeOf(campaign, round, update.participant)
    if ('refusal' in placing) throw new TierError('gone', 'RoundClosed', placing.refusal)
    const record = { ...update, countsIn: placing.round }
    await round.addUpdate(record)
    campaign.buffers.add(round.number, record)
    return true
  })
  if (isNew) campaign.changed()
  return isNew
}

/** Whether an update that a node was asked for cannot count in any round any more. An attempt that ended short is followed by another. */
export function isLate(campaign: Campaign, round: Round, participant: string): boolean {
  if (!round.commit || !round.isChosen(participant)) return false
  if (round.updates.has(participant) || round.failureOf(participant)) return false
  return 'refusal' in placeOf(campaign, round, participant)
}

/** Remembers, once a node, that it came too late for this round, so that the status can tell. */
export async function noteDropped(
  campaign: Campaign,
  round: Round,
  ...participants: readonly string[]
): Promise<void> {
  let isNew = false
  for (const participant of participants) {
    // One after another, so that a large zone does not hold up everybody else.
    const dropped = await campaign.locked(async () => drop(campaign, round, participant))
    isNew ||= dropped
  }
  if (isNew) campaign.changed()
}

async function drop(campaign: Campaign, round: Round, participant: string): Promise<boolean> {
  if (round.dropped.has(participant) || !isLate(campaign, round, participant)) return false
  await round.addDropped({ participant })
  return true
}

/** Remembers, once a node, that it sent other bytes than those that count, so that people are told. */
export async function noteConflict(
  campaign: Campaign,
  round: Round,
  conflict: ConflictRecord,
): Promise<void> {
  const isNew = await campaign.locked(async () => {
    if (round.conflicts.has(conflict.participant)) return false
    await round.addConflict(conflict)
    return true
  })
  if (isNew) campaign.changed()
}
