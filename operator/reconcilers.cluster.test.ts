// The reconcilers against a real API server: what they make of it, judged by the state of the world. There is no
// kubelet and no garbage collector here, so pods stay as they were created.
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApiServer } from '#e2e/cluster/api-server.ts'
import type { ApiServer } from '#e2e/cluster/api-server.ts'
import { installKinds, kubectlOf } from '#crds/testing/cluster.ts'
import type { Kubectl } from '#crds/testing/cluster.ts'
import { FINALIZER } from '#crds/names.ts'
import type { RoundState } from '#federation/wire/generated/tributary.ts'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import { createKubeClient } from './kube/client.ts'
import { loadKubeConfig } from './kube/kube-config.ts'
import type { KubeClient } from './kube/api.ts'
import type { Leadership } from './kube/lease.ts'
import { events, namespaces, pods } from './kube/resources.ts'
import { createHarness, until } from './kube/testing/harness.ts'
import { deviceProfiles, edgeModels, federatedRounds } from './resources.ts'
import { lead, startCaches } from './run-operator.ts'
import type { OperatorOptions } from './run-operator.ts'
import { ScriptedHub } from './testing/scripted-hub.ts'

let server: ApiServer
let kubectl: Kubectl
let client: KubeClient

beforeAll(async () => {
  server = await startApiServer()
  kubectl = kubectlOf(server)
  await installKinds(kubectl)
  client = createKubeClient(loadKubeConfig(server.kubeconfig), { metrics: createHarness().metrics })
  for (const name of ['edge-1', 'edge-2', 'edge-3']) await makeNode(name)
}, 300_000)

afterAll(async () => {
  client.close()
  await server.stop()
})

async function makeNode(name: string, labels: object = { tier: 'edge' }): Promise<void> {
  await kubectl(['apply', '--server-side', '--filename=-'], {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
  })
  await setReady(name, 'True')
}

async function setReady(node: string, status: 'True' | 'Unknown'): Promise<void> {
  const lastTransitionTime = '2026-01-01T00:00:00Z'
  await kubectl([
    ...['patch', 'node', node, '--subresource=status', '--type=merge'],
    `--patch=${JSON.stringify({ status: { conditions: [{ type: 'Ready', status, lastTransitionTime, lastHeartbeatTime: lastTransitionTime }] } })}`,
  ])
}

const profile = (namespace: string) => ({
  apiVersion: 'tributary.dev/v1alpha1',
  kind: 'DeviceProfile',
  metadata: { name: 'gateway', namespace },
  spec: {
    nodeSelector: { matchLabels: { tier: 'edge' } },
    datasets: [{ name: 'digits', hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] }],
  },
})

const model = (namespace: string) => ({
  apiVersion: 'tributary.dev/v1alpha1',
  kind: 'EdgeModel',
  metadata: { name: 'digits', namespace },
  spec: { source: { storageUri: 'configmap://digits/model.onnx' } },
})

const round = (namespace: string, spec: object = {}) => ({
  apiVersion: 'tributary.dev/v1alpha1',
  kind: 'FederatedRound',
  metadata: { name: 'digits', namespace },
  spec: {
    modelRef: { name: 'digits' },
    dataset: 'digits',
    rounds: 2,
    participants: { profiles: ['gateway'] },
    completion: { minUpdates: 2 },
    training: { loss: { type: 'SoftmaxCrossEntropy' } },
    ...spec,
  },
})

interface Running {
  hub: ScriptedHub
  namespace: string
  /** What the operator logged as an error. */
  troubles: () => string
  stop: () => Promise<void>
}

let count = 0

/** An operator of its own for a namespace of its own. */
async function startOperator(hub = new ScriptedHub(), reuse?: string): Promise<Running> {
  const namespace = reuse ?? `reconcile-${++count}`
  if (!reuse)
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  // Without a controller manager nobody makes the account that pods are admitted with.
  if (!reuse) await kubectl(['create', 'serviceaccount', 'default', `--namespace=${namespace}`])
  const { clock, random, log, lines, metrics, registry } = createHarness()
  const options: OperatorOptions = {
    ...{ client, hub, clock, random, log, metrics, registry, instance: 'test' },
    podSettings: {
      image: 'tributary/edge-agent:test',
      imagePullPolicy: 'Never',
      hubAddress: '192.0.2.1:30843',
      hubCertificateAuthority: 'PEM',
      campaignsFolder: '/var/lib/tributary-campaigns',
    },
  }
  const watches = startCaches(options)
  const ended = new AbortController()
  const leadership: Leadership = { signal: ended.signal, assertHeld: () => undefined }
  const leading = await lead(options, watches.caches, leadership)
  return {
    hub,
    namespace,
    troubles: () =>
      lines
        .filter((line) => line.level === 'error')
        .map((line) => `${line.message} ${inspect(line.fields, { depth: 2 })}`)
        .join('\n'),
    stop: async () => {
      ended.abort(new Error('test over'))
      await leading.stop()
      await watches.stop()
    },
  }
}

async function withOperator(story: (running: Running) => Promise<void>): Promise<void> {
  const running = await startOperator()
  try {
    await story(running)
  } catch (error) {
    throw new Error(`${String(error)}; the operator logged:\n${running.troubles()}`, { cause: error })
  } finally {
    await running.stop()
  }
}

const ref = (namespace: string) => ({ namespace, name: 'digits' })

const getRound = (namespace: string) => client.get(federatedRounds, ref(namespace))

async function phaseIs(namespace: string, phase: string): Promise<void> {
  await until(`phase ${phase}`, async () => (await getRound(namespace))?.status?.phase === phase)
}

async function apply(...objects: object[]): Promise<void> {
  for (const object of objects) await kubectl(['apply', '--filename=-'], object)
}

function roundOf(hub: ScriptedHub, namespace: string): RoundState | undefined {
  return [...hub.campaigns.values()].find(({ plan }) => plan.namespace === namespace)?.state.current
}

const podsOf = (namespace: string) => client.listAll(pods, { namespace })

async function reasonsOf(namespace: string): Promise<(string | undefined)[]> {
  return (await client.listAll(events, { namespace })).map((event) => event.reason)
}

describe('the reconcilers on an API server', () => {
  it('place an edge controller in a zone, remember it, and give the zone another one when its node is gone', () =>
    withOperator(async ({ namespace }) => {
      const zoned = { tier: 'zoned', 'topology.kubernetes.io/zone': 'north' }
      for (const name of ['zoned-1', 'zoned-2', 'zoned-3']) await makeNode(name, zoned)
      const { spec, ...rest } = profile(namespace)
      const nodeSelector = { matchLabels: { tier: 'zoned' } }
      const tiered = round(namespace, { hierarchy: { type: 'Zones' } })
      await apply({ ...rest, spec: { ...spec, nodeSelector } }, model(namespace), tiered)
      const tierIs = async (epoch: number, last = '') => {
        const tier = (await getRound(namespace))?.status?.tiers?.[0]
        return tier?.epoch === epoch && tier.podUid !== undefined && tier.podUid !== last ? tier : undefined
      }
      await until('the first epoch', async () => (await tierIs(1)) !== undefined)
      const first = await tierIs(1)
      const pod = await client.get(pods, { namespace, name: first?.pod ?? '' })
      expect(pod?.metadata.uid).toBe(first?.podUid)
      expect(pod?.spec?.hostNetwork).toBe(true)
      await kubectl(['delete', 'node', first?.node ?? ''])
      await until('the second epoch', async () => (await tierIs(2)) !== undefined)
      const second = await tierIs(2)
      expect(second?.node).not.toBe(first?.node)
      await until('the old pod is told to go', async () => {
        const old = await client.get(pods, { namespace, name: first?.pod ?? '' })
        return old === undefined || old.metadata.deletionTimestamp !== undefined
      })
      await until('the event', async () => (await reasonsOf(namespace)).includes('ControllerReplaced'))
      expect(await kubectl(['describe', 'fr', 'digits', `--namespace=${namespace}`])).toMatch(
        /Epoch: +2\n +Node: +zoned-/,
      )
      await client.delete(federatedRounds, ref(namespace))
      for (const name of ['zoned-1', 'zoned-2', 'zoned-3'])
        await kubectl(['delete', 'node', name, '--ignore-not-found'])
    }))

  it('carry a campaign from manifests to a published version, and its deletion', () =>
    withOperator(async ({ hub, namespace }) => {
      await apply(profile(namespace), model(namespace), round(namespace))
      await phaseIs(namespace, 'Training')
      await until('three pods', async () => (await podsOf(namespace)).length === 3)
      const [pod] = await podsOf(namespace)
      expect(pod?.spec?.automountServiceAccountToken).toBe(false)
      expect(pod?.metadata.ownerReferences?.[0]?.kind).toBe('FederatedRound')
      expect((await getRound(namespace))?.metadata.finalizers).toEqual([FINALIZER])
      hub.endRound(namespace)
      await until('round 2', () => roundOf(hub, namespace)?.round === 2)
      hub.endRound(namespace)
      await phaseIs(namespace, 'Completed')
      const status = (await getRound(namespace))?.status
      expect(status).toMatchObject({
        roundProgress: '2/2',
        updatesProgress: '3/3',
        metric: '0.900',
        modelVersion: 'v2',
      })
      expect(status?.history?.map((entry) => entry.round)).toEqual([2, 1])
      expect((await client.get(edgeModels, ref(namespace)))?.status?.latestVersion).toBe('v2')
      await until('no pods', async () =>
        (await podsOf(namespace)).every((left) => left.metadata.deletionTimestamp),
      )
      await until('the events', async () => (await reasonsOf(namespace)).includes('RoundsDone'))
      expect(await reasonsOf(namespace)).toEqual(
        expect.arrayContaining(['RoundStarted', 'RoundDone', 'VersionPublished']),
      )
      await client.delete(federatedRounds, ref(namespace))
      await until('it is gone', async () => (await getRound(namespace)) === undefined)
      expect(() => hub.campaignOf(namespace)).toThrow('knows no campaign')
    }))

  it('await the pod of an unreachable node before a deleted campaign goes', () =>
    withOperator(async ({ namespace }) => {
      await apply(profile(namespace), model(namespace), round(namespace))
      await until('three pods', async () => (await podsOf(namespace)).length === 3)
      const [pod] = await podsOf(namespace)
      const name = pod?.metadata.name ?? ''
      await kubectl(
        ['create', '--filename=-', `--raw=/api/v1/namespaces/${namespace}/pods/${name}/binding`],
        {
          ...{ apiVersion: 'v1', kind: 'Binding', metadata: { name } },
          target: { apiVersion: 'v1', kind: 'Node', name: 'edge-1' },
        },
      )
      await setReady('edge-1', 'Unknown')
      try {
        await client.delete(federatedRounds, ref(namespace))
        await until('the others are gone', async () => (await podsOf(namespace)).length === 1)
        await phaseIs(namespace, 'Deleting')
        const conditions = (await getRound(namespace))?.status?.conditions ?? []
        expect(conditions.find(({ type }) => type === 'Progressing')).toMatchObject({
          reason: 'AwaitingPods',
          message: expect.stringContaining(`${name} (node edge-1, unreachable since `) as string,
        })
        await kubectl(['delete', 'pod', name, `--namespace=${namespace}`, '--force', '--grace-period=0'])
        await until('it is gone', async () => (await getRound(namespace)) === undefined)
      } finally {
        await setReady('edge-1', 'True')
      }
    }))

  it('have the hub drop a campaign whose FederatedRound vanished while nobody looked', async () => {
    const before = await startOperator()
    const { hub, namespace } = before
    await apply(profile(namespace), model(namespace), round(namespace))
    await phaseIs(namespace, 'Training')
    await until('the campaign', () => roundOf(hub, namespace)?.round === 1)
    await before.stop()
    await client.mergePatch(federatedRounds, ref(namespace), { metadata: { finalizers: null } })
    await client.delete(federatedRounds, ref(namespace))
    await until('it is gone', async () => (await getRound(namespace)) === undefined)
    expect(hub.campaigns.size).toBe(1)
    const after = await startOperator(hub, namespace)
    try {
      await until('the hub has dropped it', () => hub.campaigns.size === 0)
    } finally {
      await after.stop()
    }
  })

  it('write nothing once all is settled, not even after a restart', () =>
    withOperator(async ({ hub, namespace, stop }) => {
      await apply(profile(namespace), model(namespace), round(namespace, { rounds: 1 }))
      await until('a round', () => roundOf(hub, namespace) !== undefined)
      hub.endRound(namespace)
      await phaseIs(namespace, 'Completed')
      await until(
        'the model follows',
        async () => (await client.get(edgeModels, ref(namespace)))?.status?.phase === 'Ready',
      )
      await stop()
      const versions = async () =>
        Promise.all([
          getRound(namespace),
          client.get(edgeModels, ref(namespace)),
          client.get(deviceProfiles, { namespace, name: 'gateway' }),
        ]).then((all) => all.map((object) => object?.metadata.resourceVersion))
      const before = await versions()
      const again = await startOperator(hub, namespace)
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      await again.stop()
      expect(await versions()).toEqual(before)
    }))

  it('name the node and the reason when one cannot be reached, and leave its pod alone', () =>
    withOperator(async ({ namespace }) => {
      await apply(profile(namespace), model(namespace), round(namespace))
      await until('three pods', async () => (await podsOf(namespace)).length === 3)
      await setReady('edge-2', 'Unknown')
      try {
        await until('node and reason', async () => {
          const participants = (await getRound(namespace))?.status?.participants
          return (
            participants?.some(({ node, reason }) => node === 'edge-2' && reason === 'NodeUnreachable') ??
            false
          )
        })
        expect((await podsOf(namespace)).filter((pod) => pod.metadata.deletionTimestamp)).toEqual([])
        await until('the event', async () => (await reasonsOf(namespace)).includes('NodeUnreachable'))
      } finally {
        await setReady('edge-2', 'True')
      }
    }))

  it('say that the hub is silent, touch nothing, and go on when it is back', () =>
    withOperator(async ({ hub, namespace }) => {
      hub.silent = true
      await apply(profile(namespace), model(namespace), round(namespace))
      await until('the reason', async () => {
        const conditions = (await getRound(namespace))?.status?.conditions
        return conditions?.some((condition) => condition.reason === 'HubUnreachable') ?? false
      })
      expect(await podsOf(namespace)).toEqual([])
      hub.silent = false
      await apply({
        ...model(namespace),
        metadata: { ...model(namespace).metadata, labels: { touched: 'yes' } },
      })
      await until('three pods', async () => (await podsOf(namespace)).length === 3)
    }))

  it('repeat a short round and fail when its attempts are used up', () =>
    withOperator(async ({ hub, namespace }) => {
      await apply(
        profile(namespace),
        model(namespace),
        round(namespace, { completion: { minUpdates: 2, maxAttempts: 2 } }),
      )
      await until('a round', () => roundOf(hub, namespace) !== undefined)
      hub.endRound(namespace, { phase: Phase.SHORT, received: 1 })
      await until('attempt 2', () => roundOf(hub, namespace)?.attempt === 2)
      hub.endRound(namespace, { phase: Phase.SHORT, received: 1 })
      await phaseIs(namespace, 'Failed')
      const failed = (await getRound(namespace))?.status?.conditions?.find(
        (condition) => condition.type === 'Failed',
      )
      expect(failed).toMatchObject({ status: 'True', reason: 'QuorumNotReached' })
      await until('the pods are told', () => hub.campaignOf(namespace).plan.finished)
    }))

  it('open the round and say why when pods are refused', () =>
    withOperator(async ({ hub, namespace }) => {
      await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=baseline'])
      await apply(profile(namespace), model(namespace), round(namespace))
      await until('a round', () => roundOf(hub, namespace) !== undefined)
      await until('the event', async () => (await reasonsOf(namespace)).includes('ActionFailed'))
      const [told] = (await client.listAll(events, { namespace })).filter(
        (event) => event.reason === 'ActionFailed',
      )
      expect(told?.note).toContain('hostPath')
      expect(await podsOf(namespace)).toEqual([])
    }))

  it('let pods go while suspended and go on afterwards', () =>
    withOperator(async ({ hub, namespace }) => {
      await apply(profile(namespace), model(namespace), round(namespace))
      await until('three pods', async () => (await podsOf(namespace)).length === 3)
      await apply(round(namespace, { suspend: true }))
      hub.endRound(namespace)
      await phaseIs(namespace, 'Suspended')
      await until('no pods', async () =>
        (await podsOf(namespace)).every((pod) => pod.metadata.deletionTimestamp),
      )
      await apply(round(namespace, { suspend: false }))
      await until('round 2', () => roundOf(hub, namespace)?.round === 2)
    }))
})
