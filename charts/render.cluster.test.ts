// What Helm makes of the chart for the values that people set, and what it says about those that they get wrong. It
// needs no API server, only helm.
import { describe, expect, it } from 'vitest'
import { operatorEnvironment, hubEnvironment } from '#operator/settings.ts'
import { AgentSettings } from '#edge-agent/environment.ts'
import { refusalOf } from '#crds/testing/cluster.ts'
import { ADDRESS, CHART, environmentOf, find, helm, podOf, rendered } from './testing/helm.ts'

const withAddress = (values: Record<string, object> = {}): Record<string, object> => ({
  ...values,
  hub: { address: ADDRESS, ...values['hub'] },
})

describe('helm lint', () => {
  it.each([
    { name: 'no values', values: {} },
    { name: 'an address', values: withAddress() },
    {
      name: 'no agents, no definitions',
      values: withAddress({ agent: { enabled: false }, crds: { install: false } }),
    },
  ])('finds nothing with $name', async ({ values }) => {
    expect(await helm(['lint', '--strict', CHART], values)).toContain('0 chart(s) failed')
  })
})

describe('helm template', () => {
  const service = async (values: object) => find(await rendered(values), 'Service', 'tributary-hub')
  const hubVolumes = async (persistence: object) =>
    podOf(await rendered(withAddress({ hub: { persistence } })), 'hub').volumes.filter(
      ({ name }) => name === 'data',
    )

  it('renders every object into the namespace of installation, under our labels', async () => {
    const objects = await rendered()
    for (const { kind, metadata } of objects) {
      expect(metadata.labels).toMatchObject({
        'app.kubernetes.io/name': 'tributary',
        'app.kubernetes.io/instance': 'tributary',
      })
      const clusterWide = kind.startsWith('Cluster') || kind === 'CustomResourceDefinition'
      expect([kind, metadata.namespace]).toEqual([kind, clusterWide ? undefined : 'tributary-system'])
    }
    expect(objects).toHaveLength(16)
  })

  it('opens a NodePort unless told otherwise', async () => {
    expect((await service(withAddress())).spec).toMatchObject({
      type: 'NodePort',
      ports: [{ port: 8443, nodePort: 30843 }],
    })
    const balanced = withAddress({ hub: { service: { type: 'LoadBalancer', annotations: { a: 'b' } } } })
    const loadBalancer = await service(balanced)
    expect(loadBalancer.spec).toMatchObject({ type: 'LoadBalancer', ports: [{ port: 8443 }] })
    expect(JSON.stringify(loadBalancer.spec)).not.toContain('nodePort')
    expect(loadBalancer.metadata.annotations).toEqual({ a: 'b' })
  })

  it('keeps the data of the hub where the values say', async () => {
    const claimed = find(await rendered(), 'StatefulSet', 'tributary-hub').spec
    expect(claimed).toMatchObject({
      volumeClaimTemplates: [
        { metadata: { name: 'data' }, spec: { resources: { requests: { storage: '10Gi' } } } },
      ],
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain' },
    })
    expect(JSON.stringify(claimed)).not.toContain('storageClassName')
    expect(await hubVolumes({})).toEqual([])
    expect(await hubVolumes({ type: 'EmptyDir', size: '1Gi' })).toEqual([
      { name: 'data', emptyDir: { sizeLimit: '1Gi' } },
    ])
    expect(await hubVolumes({ type: 'HostPath', hostPath: '/srv/hub' })).toEqual([
      { name: 'data', hostPath: { path: '/srv/hub', type: 'Directory' } },
    ])
  })

  it('claims a volume of a class, to go with the chart, when told so', async () => {
    const persistence = { storageClassName: 'fast', keep: false }
    const { spec } = find(
      await rendered(withAddress({ hub: { persistence } })),
      'StatefulSet',
      'tributary-hub',
    )
    expect(spec).toMatchObject({
      volumeClaimTemplates: [{ spec: { storageClassName: 'fast' } }],
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' },
    })
  })

  it('takes images by tag, by digest, or at the version of the chart', async () => {
    const digest = `sha256:${'a'.repeat(64)}`
    const image = {
      operator: { repository: 'registry.example.com/operator', tag: 'dev', pullPolicy: 'Never' },
      edgeAgent: { digest, tag: 'unused' },
    }
    const objects = await rendered({ ...withAddress(), image, imagePullSecrets: [{ name: 'registry' }] })
    for (const component of ['operator', 'hub'] as const) {
      const [container] = podOf(objects, component).containers
      expect(container).toMatchObject({
        image: 'registry.example.com/operator:dev',
        imagePullPolicy: 'Never',
      })
    }
    const agent = podOf(objects, 'agent')
    expect(agent.containers[0]?.image).toBe(`tributary/edge-agent@${digest}`)
    expect(agent['imagePullSecrets']).toEqual([{ name: 'registry' }])
    expect(podOf(await rendered(), 'hub').containers[0]?.image).toBe('tributary/operator:0.1.0')
  })

  it('gives each component what its values say', async () => {
    const own = {
      resources: { limits: { cpu: 2 } },
      nodeSelector: { disk: 'fast' },
      tolerations: [{ key: 'a', operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      podAnnotations: { scrape: 'true' },
      serviceAccount: { annotations: { role: 'x' } },
    }
    const objects = await rendered(withAddress({ operator: own, hub: own, agent: own }))
    for (const component of ['operator', 'hub', 'agent'] as const) {
      const { nodeSelector, tolerations, affinity, containers } = podOf(objects, component)
      expect({ nodeSelector, tolerations, affinity }).toMatchObject({
        nodeSelector: own.nodeSelector,
        tolerations: own.tolerations,
        affinity: own.affinity,
      })
      expect(containers[0]?.resources).toMatchObject(own.resources)
      const workload = objects.find(
        ({ kind, metadata, spec }) =>
          spec && metadata.name === `tributary-${component}` && kind !== 'Service',
      )
      expect(workload?.spec?.template.metadata).toMatchObject({ annotations: { scrape: 'true' } })
      const account = find(objects, 'ServiceAccount', `tributary-${component}`)
      expect(account.metadata.annotations).toEqual({ role: 'x' })
    }
  })

  it('runs agents on the network of the node, or not', async () => {
    expect(podOf(await rendered(), 'agent')['hostNetwork']).toBe(true)
    const apart = podOf(await rendered(withAddress({ agent: { hostNetwork: false, port: 9000 } })), 'agent')
    expect(apart['hostNetwork']).toBeUndefined()
    expect(apart.containers[0]).toMatchObject({ ports: [{ containerPort: 9000 }] })
    expect(apart.containers[0]?.args.slice(-2)).toEqual(['--port', '9000'])
  })

  it('updates agents by number or by percentage', async () => {
    const allowed = async (maxUnavailable: string | number): Promise<unknown> =>
      find(await rendered(withAddress({ agent: { maxUnavailable } })), 'DaemonSet', 'tributary-agent').spec?.[
        'updateStrategy'
      ]
    expect(await allowed(3)).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 3 } })
    expect(await allowed('20%')).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '20%' } })
  })

  it('marks the definitions to be kept, or leaves them out', async () => {
    const definitions = async (crds: object) =>
      (await rendered(withAddress({ crds }))).filter(({ kind }) => kind === 'CustomResourceDefinition')
    const kept = await definitions({})
    expect(kept.map(({ metadata }) => metadata.annotations)).toEqual(
      kept.map(() => ({ 'helm.sh/resource-policy': 'keep' })),
    )
    expect((await definitions({ keep: false })).map(({ metadata }) => metadata.annotations)).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(await definitions({ install: false })).toEqual([])
  })

  it('works as a dependency of another chart, which shares its globals', async () => {
    expect(await rendered(withAddress({ global: { registry: 'example.com' } }))).toHaveLength(16)
  })
})

describe('the programs', () => {
  const provided = { POD_NAME: 'tributary-operator-0', POD_NAMESPACE: 'tributary-system' }

  it('find the settings that they read', async () => {
    const objects = await rendered({ ...withAddress(), logLevel: 'debug' })
    const operator = environmentOf(podOf(objects, 'operator'), provided)
    expect(operatorEnvironment(operator)).toMatchObject({ ...operator, TRIBUTARY_LOG_LEVEL: 'debug' })
    const hub = environmentOf(podOf(objects, 'hub'), provided)
    expect(hubEnvironment(hub)).toMatchObject({ ...hub, TRIBUTARY_LOG_LEVEL: 'debug' })
    const agent = environmentOf(podOf(objects, 'agent'), provided)
    expect(Object.keys(agent).sort()).toEqual(Object.keys(AgentSettings.shape).sort())
  })
})

describe('helm refuses', () => {
  it.each([
    {
      name: 'an installation without the address',
      values: {},
      says: ['hub.address is required: host:port at which edge nodes reach the Service tributary-hub'],
    },
    {
      name: 'an address without a port',
      values: { hub: { address: '203.0.113.10' } },
      says: ['hub.address is "203.0.113.10": it must be the host:port at which edge nodes reach'],
    },
    {
      name: 'an address with a scheme',
      values: { hub: { address: 'https://203.0.113.10:30843' } },
      says: ['hub.address is "https://203.0.113.10:30843": it must be the host:port'],
    },
    {
      name: 'a name that nobody reads',
      values: withAddress({ operator: { replica: 2 } }),
      says: ['/operator', "'replica' not allowed"],
    },
    {
      name: 'a kind of Service that does not exist',
      values: withAddress({ hub: { service: { type: 'nodeport' } } }),
      says: ['/hub/service/type', "'NodePort', 'LoadBalancer', 'ClusterIP'"],
    },
    {
      name: 'no operator at all',
      values: withAddress({ operator: { replicas: 0 } }),
      says: ['/operator/replicas', 'want 1'],
    },
    {
      name: 'a volume that is none',
      values: withAddress({ hub: { persistence: { type: 'Disk' } } }),
      says: ['/hub/persistence/type', "'PersistentVolumeClaim', 'HostPath', 'EmptyDir'"],
    },
    {
      name: 'a path that climbs',
      values: withAddress({ agent: { storePath: '/var/lib/../../etc' } }),
      says: ['/agent/storePath', '/var/lib/../../etc'],
    },
    {
      name: 'a quantity with a unit that does not exist',
      values: withAddress({ hub: { resources: { limits: { memory: '1GB' } } } }),
      says: ['/hub/resources/limits/memory', '1GB'],
    },
    {
      name: 'a truth that is a word',
      values: withAddress({ agent: { enabled: 'yes' } }),
      says: ['/agent/enabled', 'want boolean'],
    },
    {
      name: 'a digest without its algorithm',
      values: { ...withAddress(), image: { operator: { digest: 'abc' } } },
      says: ['/image/operator/digest', "'abc'"],
    },
  ])('$name', async ({ values, says }) => {
    const refusal = await refusalOf(helm(['template', 'tributary', CHART], values))
    expect(refusal).toBeDefined()
    for (const words of says) expect(refusal).toContain(words)
  })
})
