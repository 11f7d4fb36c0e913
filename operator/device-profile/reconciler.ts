// A DeviceProfile's parts, put together for the shared frame. There is nothing to act on.
import type { DeviceProfileStatus } from '#crds/device-profile.ts'
import type { ReadonlyCache } from '#operator/kube/cache.ts'
import type { Node } from '#operator/kube/resources.ts'
import type { Reconciler } from '#operator/reconcile.ts'
import { deviceProfiles } from '#operator/resources.ts'
import type { DeviceProfileResource } from '#operator/resources.ts'
import { nodeView, observedOf } from '#operator/views.ts'
import { decide, transitions } from './decide.ts'
import type { Observation } from './decide.ts'

export interface Sources {
  profiles: ReadonlyCache<DeviceProfileResource>
  nodes: ReadonlyCache<Node>
  now: () => number
}

export function deviceProfileReconciler(
  sources: Sources,
): Reconciler<Observation, DeviceProfileStatus, never> {
  return {
    type: deviceProfiles,
    observe: (ref) => {
      const resource = sources.profiles.get(ref)
      const nodes = sources.nodes.list().map(nodeView)
      return Promise.resolve(resource && { now: sources.now(), profile: observedOf(resource), nodes })
    },
    subject: (seen) => seen.profile,
    decide,
    transitions,
    act: () => Promise.resolve(),
  }
}
