// The Events that a person would want to see, from the difference between two statuses. A crash between status and
// event loses the event, never the fact: conditions hold it.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { EventFact } from '#operator/events.ts'
import { conditionEvents } from '#operator/events.ts'

export function transitions(
  before: FederatedRoundStatus | undefined,
  after: FederatedRoundStatus,
): EventFact[] {
  return [
    ...roundStarted(before, after),
    ...roundsDone(before, after),
    ...published(before, after),
    ...newAttention(before, after),
    ...newlyRefused(before, after),
    ...newEpochs(before, after),
    ...conditionEvents(before?.conditions, after.conditions, {
      warnWhenFalse: ['ParticipantsAvailable', 'ControllersAvailable'],
      sayWhenTrue: ['Complete'],
      warnWhenTrue: ['Failed'],
      warnReasons: {
        Progressing: ['HubUnreachable', 'PodsGivenUp', 'DiskFull'],
        ModelReady: ['ModelNotFound'],
      },
      sayReasons: { Progressing: ['Suspended'] },
    }),
  ]
}

function roundStarted(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  const round = after.round ?? 0
  const attempt = after.attempt ?? 0
  if (round === 0 || (before?.round === round && before.attempt === attempt)) return []
  const wanted = after.updates?.wanted ?? 0
  return [
    attempt > 1
      ? {
          type: 'Warning',
          reason: 'RoundRepeated',
          note: `round ${round}: attempt ${attempt} wants ${wanted} updates`,
        }
      : { type: 'Normal', reason: 'RoundStarted', note: `round ${round} wants ${wanted} updates` },
  ]
}

function roundsDone(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  const last = before?.history?.[0]?.round ?? 0
  return (after.history ?? [])
    .filter((round) => round.round > last)
    .reverse()
    .map((round) => ({
      type: 'Normal',
      reason: 'RoundDone',
      note: `round ${round.round}: merged ${round.updates} of ${round.wanted} updates; ${metricsText(round.metrics)}`,
    }))
}

function metricsText(metrics: Record<string, number>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join(', ')
}

function published(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  if (after.modelVersion === undefined || before?.modelVersion === after.modelVersion) return []
  return [
    {
      type: 'Normal',
      reason: 'VersionPublished',
      note: `the merged model is version ${after.modelVersion} of the EdgeModel`,
    },
  ]
}

/** Starting up is not news; everything else that needs attention is. */
function newAttention(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  const known = new Set((before?.participants ?? []).map((entry) => `${entry.node}/${entry.reason}`))
  return (after.participants ?? [])
    .filter((entry) => !['PodPending', 'NotConnected'].includes(entry.reason))
    .filter((entry) => !known.has(`${entry.node}/${entry.reason}`))
    .slice(0, 10)
    .map((entry) => ({ type: 'Warning', reason: entry.reason, note: `${entry.node}: ${entry.message}` }))
}

/** A zone's first controller is no news; one that takes over is. */
function newEpochs(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  const epochs = new Map((before?.tiers ?? []).map((tier) => [tier.zone, tier]))
  return (after.tiers ?? [])
    .flatMap(({ zone, epoch, node, message }): EventFact[] => {
      const previous = epochs.get(zone)
      if (!previous || previous.epoch === 0 || previous.epoch >= epoch) return []
      const why = message === undefined ? '' : `: ${message}`
      const note = `zone ${zone}: the controller of epoch ${epoch} is on node ${node}${why}`
      return [{ type: 'Warning', reason: 'ControllerReplaced', note }]
    })
    .slice(0, 10)
}

/** Each once: a node that sends other bytes for what was accepted is broken, or is not who it says. */
function newlyRefused(before: FederatedRoundStatus | undefined, after: FederatedRoundStatus): EventFact[] {
  const known = new Set((before?.refusedUpdates ?? []).map(({ round, node }) => `${round}/${node}`))
  return (after.refusedUpdates ?? [])
    .filter(({ round, node }) => !known.has(`${round}/${node}`))
    .map(({ round, node, acceptedDigest, refusedDigest }) => ({
      type: 'Warning',
      reason: 'OtherBytesRefused',
      note: `${node}: its update to round ${round} was accepted with ${acceptedDigest}; ${refusedDigest} is refused`,
    }))
}
