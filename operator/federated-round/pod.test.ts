// What a training pod is made from: for how long it stays on a node that cannot be reached, and what it is told.
import { describe, expect, it } from 'vitest'
import { DeviceProfileSpec } from '#crds/device-profile.ts'
import { aNode, aProfile, aRound, aSight } from '#operator/testing/builders.ts'
import { decide } from './decide.ts'
import type { TrainingPod } from './decision.ts'
import { candidates } from './participants.ts'
import { trainingPod } from './pod.ts'

const SETTINGS = {
  image: 'edge-agent:1',
  imagePullPolicy: 'Never' as const,
  hubAddress: '192.0.2.1:30843',
  hubCertificateAuthority: 'PEM',
  campaignsFolder: '/var/lib/tributary-campaigns',
}
const POD: TrainingPod = {
  name: 'digits-1',
  node: 'a',
  dataset: { hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] },
}

function podOf(spec: object = {}, changes: Partial<TrainingPod> = {}) {
  const { spec: pod } = trainingPod(aRound(spec), { ...POD, ...changes }, SETTINGS)
  if (!pod) throw new Error('unreachable: a pod has a spec')
  return pod
}

function environmentOf(changes: Partial<TrainingPod>): Record<string, string | undefined> {
  const [container] = podOf({}, changes).containers ?? []
  const entries = (container?.env ?? []).map(({ name = '', value }) => [name, value] as const)
  return Object.fromEntries(entries)
}

describe('the pod of a node that cannot be reached', () => {
  it.each([
    { spec: {}, seconds: 86_400 },
    { spec: { maxOfflineSeconds: 600 }, seconds: 600 },
  ])('is evicted after $seconds s', ({ spec, seconds }) => {
    const kept = (podOf(spec).tolerations ?? []).filter(({ effect }) => effect === 'NoExecute')
    expect(kept).toEqual(
      ['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready'].map((key) => ({
        key,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: seconds,
      })),
    )
  })

  it.each([
    { name: 'an hour at least', maxOfflineSeconds: 60, want: 3600 },
    { name: 'five times as long', maxOfflineSeconds: 3600, want: 18_000 },
    { name: 'a day longer', maxOfflineSeconds: 604_800, want: 691_200 },
  ])('has a token that is good for $name', ({ maxOfflineSeconds, want }) => {
    const token = podOf({ maxOfflineSeconds }).volumes?.find(({ name }) => name === 'token')
    expect(token?.projected?.sources?.[0]?.serviceAccountToken?.expirationSeconds).toBe(want)
    // The kubelet renews it after four fifths of its life, or after a day.
    expect(Math.max(want / 5, want - 86_400)).toBeGreaterThanOrEqual(maxOfflineSeconds)
  })
})

describe('what a node keeps of a campaign', () => {
  const { volumes, initContainers, containers, securityContext } = podOf()

  it('lies in a folder of the campaign on the node, and outlives the pod', () => {
    const folders = (volumes ?? []).filter(({ name }) => name === 'campaigns' || name === 'work')
    expect(folders).toEqual([
      {
        name: 'campaigns',
        hostPath: { path: '/var/lib/tributary-campaigns', type: 'DirectoryOrCreate' },
      },
      {
        name: 'work',
        hostPath: { path: '/var/lib/tributary-campaigns/uid-round', type: 'DirectoryOrCreate' },
      },
    ])
  })

  it('is made ready by root, which sees nothing else of the node and may do little', () => {
    const [preparation] = initContainers ?? []
    expect(preparation?.args).toEqual(['prepare-folder', '--owner=65532'])
    expect(preparation?.volumeMounts).toEqual([{ name: 'campaigns', mountPath: '/campaigns' }])
    expect(preparation?.securityContext).toMatchObject({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN', 'DAC_OVERRIDE'] },
    })
  })

  it("is all of the campaigns' folder that training sees, as a user without rights", () => {
    const [training] = containers ?? []
    expect((training?.volumeMounts ?? []).map(({ name }) => name)).toEqual(['token', 'data', 'work'])
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65_532 })
    expect(training?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })
})

describe('the priority of a training pod', () => {
  it.each([{ priorityClassName: 'batch' }, {}])('is that of the template %j', (template) => {
    expect(podOf({ template }).priorityClassName).toBe(template.priorityClassName)
  })
})

describe('what a pod is told', () => {
  it('is where the data set lies', () => {
    expect(JSON.parse(environmentOf({})['TRIBUTARY_DATASET'] ?? '')).toEqual({
      labelColumns: ['label'],
      path: '/data/samples.csv',
    })
  })

  it('is what it may take of the link, if that is limited', () => {
    expect(environmentOf({ bytesPerSecond: 125_000 })['TRIBUTARY_BYTES_PER_SECOND']).toBe('125000')
    expect(environmentOf({})).not.toHaveProperty('TRIBUTARY_BYTES_PER_SECOND')
  })
})

describe("the share of a node's link", () => {
  const profile = (name: string, link: object = {}) =>
    aProfile({ name, spec: DeviceProfileSpec.parse({ ...aProfile().spec, ...link }) })
  const limited = (linkFraction: number, profiles = ['gateway']) =>
    aRound({ transfer: { linkFraction }, participants: { profiles } })

  it.each([
    { bandwidth: '1250k', linkFraction: 0.2, want: 250_000 },
    { bandwidth: '1Ki', linkFraction: 0.5, want: 1024 },
    { bandwidth: 10_000, linkFraction: 1, want: 10_000 },
  ])('of $bandwidth times $linkFraction is $want bytes a second', ({ bandwidth, linkFraction, want }) => {
    const profiles = [profile('gateway', { link: { bandwidth } })]
    const [candidate] = candidates(limited(linkFraction), profiles, [aNode('a')])
    expect(candidate?.bytesPerSecond).toBe(want)
  })

  it('is all of it where the round names none', () => {
    const [candidate] = candidates(
      aRound(),
      [profile('gateway', { link: { bandwidth: '1Mi' } })],
      [aNode('a')],
    )
    expect(candidate).not.toHaveProperty('bytesPerSecond')
  })

  it('is waited for where nobody said what the link carries', () => {
    const decision = decide(aSight({ round: limited(0.2) }))
    expect(decision.actions).toEqual([])
    expect(decision.status?.conditions).toContainEqual(
      expect.objectContaining({
        type: 'ParticipantsAvailable',
        reason: 'LinkUnknown',
        message: expect.stringContaining(
          'transfer.linkFraction needs link.bandwidth of DeviceProfile gateway',
        ) as string,
      }),
    )
  })
})
