// What to say about a DeviceProfile: how many nodes match. It changes nothing in the world.
import type { DeviceProfileStatus } from '#crds/device-profile.ts'
import { conditionsOf } from '#operator/conditions.ts'
import type { EventFact } from '#operator/events.ts'
import { conditionEvents } from '#operator/events.ts'
import { isReady } from '#operator/objects.ts'
import type { DeviceProfile, NodeView } from '#operator/objects.ts'
import { matches } from '#operator/selector.ts'

export interface Observation {
  now: number
  profile: DeviceProfile
  nodes: NodeView[]
}

export interface Decision {
  status: DeviceProfileStatus
}

export function decide({ now, profile, nodes }: Observation): Decision {
  const matching = nodes.filter((node) => matches(profile.spec.nodeSelector, node.labels))
  const ready = matching.filter(isReady).length
  const fact =
    matching.length > 0
      ? { status: 'True' as const, reason: 'NodesMatched', message: `${matching.length} nodes match` }
      : {
          status: 'False' as const,
          reason: 'NoNodesMatched',
          message: 'no node has the labels that spec.nodeSelector asks for',
        }
  return {
    status: {
      observedGeneration: profile.generation,
      matchedNodes: matching.length,
      readyNodes: ready,
      conditions: conditionsOf([{ type: 'Ready', ...fact }], profile.status?.conditions, {
        now,
        generation: profile.generation,
      }),
    },
  }
}

export function transitions(
  before: DeviceProfileStatus | undefined,
  after: DeviceProfileStatus,
): EventFact[] {
  return conditionEvents(before?.conditions, after.conditions, { warnWhenFalse: ['Ready'] })
}
