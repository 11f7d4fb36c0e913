// What an edge controller is given: enough to find its parent and to be found, a folder that outlives it, and nothing more.
import { describe, expect, it } from 'vitest'
import type { Pod } from '#operator/kube/resources.ts'
import { aRound } from '#operator/testing/builders.ts'
import { podView, controllerView } from '#operator/views.ts'
import { controllerPod } from './controller-pod.ts'

const settings = {
  image: 'registry.example/edge-agent:1',
  imagePullPolicy: 'IfNotPresent' as const,
  hubAddress: '192.0.2.10:30843',
  hubCertificateAuthority: 'PEM',
  campaignsFolder: '/var/lib/tributary-campaigns',
}
const wanted = { name: 'digits-abc-2', node: 'a', zone: 'North_1', epoch: 2 }
const made = (controller: object = {}) =>
  controllerPod(aRound({ hierarchy: { type: 'Zones', zones: { controller } } }), wanted, settings) as Pod

describe("an edge controller's pod", () => {
  it('says whose it is in labels that the operator reads again', () => {
    const view = controllerView(made())
    expect(view).toMatchObject({ name: 'digits-abc-2', node: 'a', zone: 'North_1', epoch: 2 })
    expect(view).toMatchObject(podView(made()))
    expect(made().metadata.ownerReferences?.[0]).toMatchObject({ kind: 'FederatedRound', controller: true })
  })

  it('is told where the hub is, which zone it has, and where it is reached', () => {
    const environment = Object.fromEntries(
      (made().spec?.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => [
        name,
        value ?? valueFrom?.fieldRef?.fieldPath,
      ]),
    )
    expect(environment).toEqual({
      TRIBUTARY_HUB_ADDRESS: '192.0.2.10:30843',
      TRIBUTARY_HUB_CA: 'PEM',
      TRIBUTARY_CAMPAIGN: 'uid-round',
      TRIBUTARY_NODE_NAME: 'spec.nodeName',
      TRIBUTARY_TIER: 'North_1',
      TRIBUTARY_NODE_ADDRESS: 'status.hostIP',
      TRIBUTARY_PORT: '0',
    })
  })

  it('has the priority that the manifest names', () => {
    expect(made({ priorityClassName: 'zone-critical' }).spec?.priorityClassName).toBe('zone-critical')
    expect(made().spec).not.toHaveProperty('priorityClassName')
  })

  it('is told what it may take of the link, if that is limited', () => {
    const round = aRound({ hierarchy: { type: 'Zones' } })
    const { spec } = controllerPod(round, { ...wanted, bytesPerSecond: 250_000 }, settings) as Pod
    const limit = { name: 'TRIBUTARY_BYTES_PER_SECOND', value: '250000' }
    expect(spec?.containers[0]?.env).toContainEqual(limit)
  })

  it('keeps what it accepted in a folder of its zone and campaign on the node, which is made for its user', () => {
    const { volumes, initContainers, containers, securityContext } = made().spec ?? {}
    const paths = volumes?.flatMap(({ name, hostPath }) => (hostPath ? [[name, hostPath.path]] : []))
    const folder = '/var/lib/tributary-campaigns/.controllers/North_1'
    expect(paths).toEqual([
      ['campaigns', folder],
      ['state', `${folder}/uid-round`],
    ])
    expect(initContainers?.[0]?.args).toEqual(['prepare-folder', '--owner=65532'])
    expect(initContainers?.[0]?.volumeMounts).toEqual([{ name: 'campaigns', mountPath: '/campaigns' }])
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532 })
    expect(containers?.[0]?.volumeMounts?.map(({ name }) => name)).toEqual(['token', 'state'])
  })

  it('takes a port of the node only when the manifest names one', () => {
    const container = (controller?: object) => made(controller).spec?.containers[0]
    expect(container()?.ports).toBeUndefined()
    expect(container({ port: 8444 })?.ports).toEqual([{ name: 'tier', containerPort: 8444, hostPort: 8444 }])
    expect(container({ port: 8444 })?.env).toContainEqual({ name: 'TRIBUTARY_PORT', value: '8444' })
  })

  it('stays on an unreachable node, in the network of the node, without a token of the API server', () => {
    const { spec } = made()
    expect(spec).toMatchObject({ hostNetwork: true, automountServiceAccountToken: false })
    const keys = (spec?.tolerations ?? []).filter(({ effect }) => effect === 'NoExecute')
    expect(keys.map(({ key, tolerationSeconds }) => [key, tolerationSeconds])).toEqual([
      ['node.kubernetes.io/unreachable', undefined],
      ['node.kubernetes.io/not-ready', undefined],
    ])
    expect(spec?.containers[0]?.securityContext).toMatchObject({ capabilities: { drop: ['ALL'] } })
  })

  it('is not made for a flat campaign', () => {
    expect(() => controllerPod(aRound(), wanted, settings)).toThrow('FederatedRound digits is flat')
  })
})
