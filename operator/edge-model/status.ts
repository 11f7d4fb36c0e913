// The status of an EdgeModel. A rollout is judged by what agents have loaded, by digest, never by what was sent.
import type { EdgeModelStatus } from '#crds/edge-model.ts'
import type { AgentState, ModelState, ModelVersion } from '#federation/wire/generated/tributary.ts'
import { ModelState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import type { ConditionFacts } from '#operator/conditions.ts'
import { conditionsOf, timestamp, truncate } from '#operator/conditions.ts'
import type { EventFact } from '#operator/events.ts'
import { conditionEvents } from '#operator/events.ts'
import { isReady } from '#operator/objects.ts'
import type { NodeView } from '#operator/objects.ts'
import { shownMetrics } from '#operator/shown-metrics.ts'
import type { Observation } from './decision.ts'

type Attention = NonNullable<EdgeModelStatus['agents']>[number]

interface Rollout {
  latest: ModelVersion | undefined
  serving: NodeView[]
  updated: number
  behind: Attention[]
}

export function statusOf(seen: Observation, serving: NodeView[]): EdgeModelStatus {
  const { model, hub, now } = seen
  const state = hub.kind === 'known' ? hub.state : undefined
  const rollout = state ? rolloutOf(state, serving) : undefined
  const facts = conditionFacts(seen, rollout)
  return {
    ...(state && rollout ? facets(state, rollout) : lastKnown(model.status)),
    observedGeneration: model.generation,
    phase: phaseOf(facts),
    conditions: conditionsOf(facts, model.status?.conditions, { now, generation: model.generation }),
  }
}

export function transitions(before: EdgeModelStatus | undefined, after: EdgeModelStatus): EventFact[] {
  const version: EventFact[] =
    after.latestVersion !== undefined && before?.latestVersion !== after.latestVersion
      ? [{ type: 'Normal', reason: 'VersionPublished', note: `latest version is ${after.latestVersion}` }]
      : []
  const known = new Set((before?.agents ?? []).map((agent) => `${agent.node}/${agent.reason}`))
  const failing = (after.agents ?? [])
    .filter((agent) => !['NotLoadedYet', 'NodeNotReady', 'NodeUnreachable'].includes(agent.reason))
    .filter((agent) => !known.has(`${agent.node}/${agent.reason}`))
    .slice(0, 10)
    .map((agent): EventFact => ({
      type: 'Warning',
      reason: agent.reason,
      note: `${agent.node}: ${agent.message}`,
    }))
  return [
    ...version,
    ...failing,
    ...conditionEvents(before?.conditions, after.conditions, {
      sayWhenTrue: ['Admitted', 'RolledOut'],
      sayReasons: {},
    }),
    ...conditionEvents(
      before?.conditions?.filter((condition) => condition.type === 'Admitted'),
      after.conditions?.filter(
        (condition) => condition.type === 'Admitted' && condition.reason !== 'Admitting',
      ),
      { warnWhenFalse: ['Admitted'] },
    ),
  ]
}

function facets(state: ModelState, rollout: Rollout): Partial<EdgeModelStatus> {
  const { latest, serving, updated, behind } = rollout
  const metric = latest && (latest.metrics['accuracy'] ?? latest.metrics['loss'])
  return {
    ...(latest ? { latestVersion: `v${latest.version}` } : {}),
    updated: `${updated}/${serving.length}`,
    ...(metric === undefined ? {} : { metric: metric.toFixed(3) }),
    ...(state.parameterCount > 0 ? { parameterCount: state.parameterCount } : {}),
    versions: state.versions.slice(0, 10).map(versionOf),
    agents: behind.slice(0, 50),
  }
}

function versionOf(version: ModelVersion): NonNullable<EdgeModelStatus['versions']>[number] {
  const trained = version.campaign !== ''
  return {
    version: version.version,
    digest: version.digest,
    ...(version.parentDigest === '' ? {} : { parentDigest: version.parentDigest }),
    createdAt: timestamp(version.createdUnixMs),
    ...(trained
      ? {
          federatedRound: version.campaign,
          round: version.round,
          participants: version.participants,
          samples: version.samples,
        }
      : {}),
    ...(trained
      ? {
          metrics: shownMetrics(version.metrics),
        }
      : {}),
  }
}

function rolloutOf(state: ModelState, serving: NodeView[]): Rollout {
  const latest = state.versions[0]
  const agents = new Map(state.agents.map((agent) => [agent.node, agent]))
  const behind: Attention[] = []
  for (const node of serving) {
    const cause = latest && causeOf(node, agents.get(node.name), latest)
    if (cause)
      behind.push({
        node: node.name,
        version: agents.get(node.name)?.version ?? 0,
        reason: cause.reason,
        message: truncate(cause.message, 512),
      })
  }
  return { latest, serving, updated: latest ? serving.length - behind.length : 0, behind }
}

function causeOf(
  node: NodeView,
  agent: AgentState | undefined,
  latest: ModelVersion,
): { reason: string; message: string } | undefined {
  if (agent?.digest === latest.digest && agent.version === latest.version) return undefined
  if (node.ready === 'Unknown')
    return { reason: 'NodeUnreachable', message: `the node has not been heard since ${node.readySince}` }
  if (!isReady(node))
    return { reason: 'NodeNotReady', message: `the node is not Ready since ${node.readySince}` }
  if (!agent) return { reason: 'NoAgent', message: 'no agent of this node has reported' }
  if (agent.failureReason !== '' && agent.failedVersion === latest.version)
    return { reason: agent.failureReason, message: agent.failureMessage }
  return {
    reason: 'NotLoadedYet',
    message: `has loaded version ${agent.version}, version ${latest.version} is on its way`,
  }
}

/** Everything of the previous status that only the hub knows. */
function lastKnown(status: EdgeModelStatus | undefined): Partial<EdgeModelStatus> {
  if (!status) return {}
  const { conditions: _conditions, ...kept } = status
  return kept
}

function conditionFacts(seen: Observation, rollout: Rollout | undefined): ConditionFacts[] {
  const admitted = admittedFact(seen)
  const rolledOut = rolledOutFact(seen, rollout)
  const ready = admitted.status === 'True' ? rolledOut : admitted
  return [
    { ...ready, type: 'Ready' },
    { ...admitted, type: 'Admitted' },
    { ...rolledOut, type: 'RolledOut' },
  ]
}

type Verdict = Omit<ConditionFacts, 'type'>

function admittedFact({ hub }: Observation): Verdict {
  if (hub.kind === 'unreachable') return hubUnreachable(hub.message)
  const { phase, reason, message } = hub.state
  switch (phase) {
    case Phase.READY:
      return {
        status: 'True',
        reason: 'Admitted',
        message: `the model has ${hub.state.parameterCount} parameters that train`,
      }
    case Phase.REFUSED:
      return { status: 'False', reason: 'ModelRefused', message: `${reason}: ${message}` }
    case Phase.UNREACHABLE:
      return {
        status: 'False',
        reason: 'SourceUnreachable',
        message: `${reason}: ${message}; tried again with back-off`,
      }
    default:
      return { status: 'Unknown', reason: 'Admitting', message: 'the hub is reading the file' }
  }
}

function rolledOutFact({ hub, model }: Observation, rollout: Rollout | undefined): Verdict {
  if (hub.kind === 'unreachable') return hubUnreachable(hub.message)
  if (!rollout?.latest) return { status: 'False', reason: 'Admitting', message: 'there is no version yet' }
  if (!model.spec.serving) return { status: 'True', reason: 'NotServed', message: 'spec.serving is absent' }
  const { behind, serving, updated, latest } = rollout
  const count = `${updated} of ${serving.length} agents have loaded version ${latest.version}`
  if (behind.length === 0) return { status: 'True', reason: 'AllAgentsUpdated', message: count }
  const waitingOnly = (reasons: string[]) => behind.every((agent) => reasons.includes(agent.reason))
  if (waitingOnly(['NodeNotReady', 'NodeUnreachable']))
    return { status: 'False', reason: 'NodesNotReady', message: `${count}; the others' nodes are not Ready` }
  if (waitingOnly(['NodeNotReady', 'NodeUnreachable', 'NotLoadedYet', 'NoAgent']))
    return { status: 'False', reason: 'RollingOut', message: count }
  return {
    status: 'False',
    reason: 'AgentsFailing',
    message: `${count}; status.agents says why others have not`,
  }
}

function hubUnreachable(message: string): Verdict {
  return { status: 'Unknown', reason: 'HubUnreachable', message: `the hub does not answer: ${message}` }
}

function phaseOf(facts: ConditionFacts[]): string {
  const ready = facts.find((fact) => fact.type === 'Ready')
  if (ready?.status === 'True') return 'Ready'
  const phases: Record<string, string> = {
    ModelRefused: 'Refused',
    Admitting: 'Admitting',
    SourceUnreachable: 'Waiting',
    HubUnreachable: 'Waiting',
    NodesNotReady: 'RollingOut',
    RollingOut: 'RollingOut',
    AgentsFailing: 'Degraded',
  }
  return phases[ready?.reason ?? ''] ?? 'Waiting'
}
