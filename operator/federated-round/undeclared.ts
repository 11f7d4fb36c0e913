// What the DeviceProfiles of a campaign leave open, so that no node can be asked: a profile, the data set, the links.
import type { Observation } from './decision.ts'
import { isLinkUnknown } from './participants.ts'

export type UndeclaredReason = 'ProfileNotFound' | 'DatasetNotFound' | 'LinkUnknown'

export function whatIsUndeclared({
  round,
  profiles,
  missingProfiles,
}: Observation): { reason: UndeclaredReason; message: string } | undefined {
  const { dataset, participants } = round.spec
  if (missingProfiles.length > 0) {
    const message = `there is no DeviceProfile ${missingProfiles.join(', ')} in namespace ${round.namespace}`
    return { reason: 'ProfileNotFound', message }
  }
  if (!profiles.some(({ spec }) => spec.datasets.some((entry) => entry.name === dataset))) {
    const message = `no DeviceProfile of ${participants.profiles.join(', ')} has a data set ${dataset}`
    return { reason: 'DatasetNotFound', message }
  }
  const unknown = profiles.filter((profile) => isLinkUnknown(round, profile)).map(({ name }) => name)
  if (unknown.length === 0) return undefined
  const message = `transfer.linkFraction needs link.bandwidth of DeviceProfile ${unknown.join(', ')}`
  return { reason: 'LinkUnknown', message }
}
