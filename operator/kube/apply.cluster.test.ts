import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { addFinalizer, ensureCreated, ensureObject, ensureStatus, removeFinalizer } from './apply.ts'
import { deployments, pods, secrets } from './resources.ts'
import type { Pod } from './resources.ts'
import { startFaultyCluster } from './testing/cluster.ts'
import type { FaultyCluster } from './testing/cluster.ts'
import { resourceType } from './types.ts'
import type { Applied, KubeObject } from './types.ts'

interface Thing extends KubeObject {
  spec?: { size?: number }
  status?: { phase?: string; conditions?: { type: string; status: string }[] }
}
interface Definition extends KubeObject {
  spec: object
  status?: { conditions?: { type: string; status: string }[] }
}

const things = resourceType<Thing>({
  apiVersion: 'test.dev/v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
})
const definitions = resourceType<Definition>({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
})
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
const FINALIZER = 'tributary.dev/cleanup'

describe('writing only what differs', () => {
  let cluster: FaultyCluster
  let namespace: string

  beforeAll(async () => {
    cluster = await startFaultyCluster()
    const schema = { openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } } }
    const version = { name: 'v1', served: true, storage: true, schema, subresources: { status: {} } }
    const names = { kind: 'Thing', plural: 'things', singular: 'thing' }
    await cluster.direct.create(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.test.dev' },
      spec: { group: 'test.dev', scope: 'Namespaced', names, versions: [version] },
    })
    const served = async (): Promise<boolean> =>
      cluster.direct.list(things).then(
        () => true,
        () => false,
      )
    while (!(await served())) await new Promise((resolve) => setTimeout(resolve, 50))
  })
  beforeEach(async () => {
    namespace = await cluster.namespace()
    cluster.proxy.requests.length = 0
  })
  afterEach(() => {
    cluster.proxy.clear()
  })
  afterAll(async () => {
    await cluster.stop()
  })

  const aThing = (size: number): Applied<Thing> => ({
    apiVersion: 'test.dev/v1',
    kind: 'Thing',
    metadata: { name: 'thing', namespace },
    spec: { size },
  })
  const thing = (): Promise<Thing | undefined> => cluster.client.get(things, { namespace, name: 'thing' })
  const aDeployment = (image: string, labels: Record<string, string>): KubeObject & { spec: object } => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace, labels },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          tolerations: [{ key: 'edge', operator: 'Exists' }],
          containers: [
            {
              name: 'web',
              image,
              ports: [{ containerPort: 80 }],
              env: [{ name: 'X', value: '1' }],
              resources: { requests: { cpu: '1000m', memory: '1024Mi' } },
            },
          ],
        },
      },
    },
  })

  it('creates, leaves alone, updates', async () => {
    const want = (size: number): ReturnType<typeof ensureObject> =>
      thing().then((observed) => ensureObject(cluster.client, things, { desired: aThing(size), observed }))
    expect(await want(1)).toBe('created')
    expect(await want(1)).toBe('unchanged')
    expect(await want(2)).toBe('updated')
    expect(await want(2)).toBe('unchanged')
    expect((await thing())?.spec).toEqual({ size: 2 })
    expect(cluster.proxy.writes()).toHaveLength(2)
  })

  it('finds nothing to do for what the server filled in, rounded and reordered', async () => {
    const ref = { namespace, name: 'web' }
    const desired = aDeployment('web:1', { a: '1', b: '2' })
    await ensureObject(cluster.client, deployments, { desired, observed: undefined })
    const observed = await cluster.client.get(deployments, ref)
    expect(await ensureObject(cluster.client, deployments, { desired, observed })).toBe('unchanged')
  })

  it('removes what is no longer wanted, repairs what others changed, leaves theirs alone', async () => {
    const ref = { namespace, name: 'web' }
    const ensure = async (desired: KubeObject & { spec: object }): Promise<string> =>
      ensureObject(cluster.client, deployments, {
        desired,
        observed: await cluster.client.get(deployments, ref),
      })
    await ensure(aDeployment('web:1', { a: '1', b: '2' }))
    expect(await ensure(aDeployment('web:1', { a: '1' }))).toBe('updated')
    await cluster.direct.mergePatch(deployments, ref, {
      metadata: { labels: { a: 'changed', theirs: 'yes' } },
    })
    expect(await ensure(aDeployment('web:1', { a: '1' }))).toBe('updated')
    expect((await cluster.client.get(deployments, ref))?.metadata.labels).toEqual({ a: '1', theirs: 'yes' })
    expect(await ensure(aDeployment('web:1', { a: '1' }))).toBe('unchanged')
  })

  it('compares digests alone when the observed object was stripped', async () => {
    await ensureObject(cluster.client, things, { desired: aThing(1), observed: undefined })
    const full = await thing()
    const observed: Thing = { apiVersion: 'test.dev/v1', kind: 'Thing', metadata: full!.metadata }
    const same = { desired: aThing(1), observed, compare: 'digest' } as const
    expect(await ensureObject(cluster.client, things, same)).toBe('unchanged')
    expect(await ensureObject(cluster.client, things, { ...same, desired: aThing(2) })).toBe('updated')
  })

  it('keeps a secret as it is', async () => {
    const metadata = { name: 'key', namespace }
    const desired = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: { k: 'c2VjcmV0' } }
    await ensureObject(cluster.client, secrets, { desired, observed: undefined })
    const observed = await cluster.client.get(secrets, metadata)
    expect(await ensureObject(cluster.client, secrets, { desired, observed })).toBe('unchanged')
  })

  it('creates a pod once, whoever asks again', async () => {
    const metadata = { name: 'pod', namespace }
    const pod: Applied<Pod> = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { containers: [{ name: 'c', image: 'none' }] },
    }
    cluster.proxy.add({ match: { method: 'POST' }, fault: { kind: 'dropResponse' }, times: 1 })
    await expect(ensureCreated(cluster.client, pods, pod)).rejects.toThrow()
    expect(await ensureCreated(cluster.client, pods, pod)).toBe(false)
    expect(await cluster.client.listAll(pods, { namespace })).toHaveLength(1)
  })

  it('writes a status when it changed, and drops the fields that are no longer said', async () => {
    let observed = await cluster.direct.create(things, aThing(1))
    const say = async (status: NonNullable<Thing['status']>): Promise<'written' | 'unchanged'> => {
      const before = observed
      observed = await ensureStatus(cluster.client, things, observed, status)
      return observed === before ? 'unchanged' : 'written'
    }
    const conditions = [{ type: 'Ready', status: 'True' }]
    expect(await say({ phase: 'Training', conditions })).toBe('written')
    expect(await say({ conditions, phase: 'Training' })).toBe('unchanged')
    expect(await say({ conditions })).toBe('written')
    expect((await thing())?.status).toEqual({ conditions })
    expect((await thing())?.spec).toEqual({ size: 1 })
    expect(cluster.proxy.writes()).toHaveLength(2)
  })

  it('does not write the status of one object into its successor', async () => {
    const first = await cluster.direct.create(things, aThing(1))
    await cluster.direct.delete(things, first.metadata)
    await cluster.direct.create(things, aThing(1))
    await expect(ensureStatus(cluster.client, things, first, { phase: 'Old' })).rejects.toMatchObject({
      status: 409,
    })
    expect((await thing())?.status).toBeUndefined()
  })

  it('does not write a status that was derived from a stale object', async () => {
    const stale = await cluster.direct.create(things, aThing(1))
    await cluster.direct.apply(things, aThing(2))
    const written = ensureStatus(cluster.client, things, stale, { phase: 'Old' })
    await expect(written).rejects.toMatchObject({ status: 409 })
  })

  it('adds and removes its finalizer, and keeps those of others', async () => {
    await cluster.direct.create(things, aThing(1))
    await cluster.direct.mergePatch(
      things,
      { namespace, name: 'thing' },
      { metadata: { finalizers: ['a.dev/theirs'] } },
    )
    const added = await addFinalizer(cluster.client, things, (await thing())!, FINALIZER)
    expect(await addFinalizer(cluster.client, things, added, FINALIZER)).toBe(added)
    expect((await thing())?.metadata.finalizers).toEqual(['a.dev/theirs', FINALIZER])
    await cluster.direct.delete(things, { namespace, name: 'thing' })
    const dying = await thing()
    expect(dying?.metadata.deletionTimestamp).toBeDefined()
    expect(await removeFinalizer(cluster.client, things, dying!, FINALIZER)).toBe('updated')
    expect(await removeFinalizer(cluster.client, things, (await thing())!, FINALIZER)).toBe('unchanged')
    await expect(addFinalizer(cluster.client, things, (await thing())!, FINALIZER)).rejects.toThrow(
      /being deleted/,
    )
    expect(await removeFinalizer(cluster.client, things, (await thing())!, 'a.dev/theirs')).toBe('updated')
    expect(await thing()).toBeUndefined()
    expect(await removeFinalizer(cluster.client, things, dying!, FINALIZER)).toBe('unchanged')
  })

  it('does not wipe a finalizer that was added meanwhile', async () => {
    const stale = await cluster.direct.create(things, aThing(1))
    await cluster.direct.mergePatch(things, stale.metadata, { metadata: { finalizers: ['a.dev/theirs'] } })
    await expect(addFinalizer(cluster.client, things, stale, FINALIZER)).rejects.toMatchObject({
      status: 409,
    })
    expect((await thing())?.metadata.finalizers).toEqual(['a.dev/theirs'])
    await cluster.direct.mergePatch(things, stale.metadata, { metadata: { finalizers: null } })
  })
})
