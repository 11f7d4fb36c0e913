import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { KubeConfig } from '@kubernetes/client-node'
import { run } from '#e2e/cluster/run.ts'
import { toolPath } from '#e2e/cluster/tools.ts'
import { createKubeClient } from './client.ts'
import { ApiError } from './errors.ts'
import { configMaps, pods } from './resources.ts'
import type { ConfigMap } from './resources.ts'
import { startFaultyCluster } from './testing/cluster.ts'
import type { FaultyCluster } from './testing/cluster.ts'
import { createHarness } from './testing/harness.ts'
import type { Applied } from './types.ts'

describe('the client against a real API server', () => {
  let cluster: FaultyCluster
  let namespace: string

  beforeAll(async () => {
    cluster = await startFaultyCluster()
    namespace = await cluster.namespace()
  })
  afterEach(() => {
    cluster.proxy.clear()
  })
  afterAll(async () => {
    await cluster.stop()
  })

  const aMap = (name: string, data: Record<string, string> = {}): Applied<ConfigMap> => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    data,
  })
  const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(ApiError)
    return error as ApiError
  }

  it('creates, reads, applies, patches and deletes', async () => {
    const { client } = cluster
    const created = await client.create(configMaps, aMap('a', { x: '1' }))
    expect(created.metadata.uid).toMatch(/-/)
    const applied = await client.apply(configMaps, aMap('a', { y: '2' }))
    expect(applied.data).toEqual({ x: '1', y: '2' })
    const patched = await client.mergePatch(configMaps, applied.metadata, { data: { x: null } })
    expect(patched.data).toEqual({ y: '2' })
    expect(await client.delete(configMaps, applied.metadata)).toBe(true)
    expect(await client.get(configMaps, applied.metadata)).toBeUndefined()
    expect(await client.delete(configMaps, applied.metadata)).toBe(false)
  })

  it('reads who signs service-account tokens, and with which keys', async () => {
    const { issuer, keySet } = await cluster.client.tokenIssuer()
    expect(issuer).toMatch(/^https:\/\//)
    expect(keySet.keys).toContainEqual(expect.objectContaining({ use: 'sig' }))
  })

  it('owns what it applies under its field manager, and drops what it no longer applies', async () => {
    const first = await cluster.client.apply(configMaps, aMap('owned', { x: '1', y: '2' }))
    const managers = (first.metadata as { managedFields?: { manager: string }[] }).managedFields
    expect(managers?.map(({ manager }) => manager)).toEqual(['tributary-operator'])
    const second = await cluster.client.apply(configMaps, aMap('owned', { y: '2' }))
    expect(second.data).toEqual({ y: '2' })
  })

  it('takes fields over from others unless told not to', async () => {
    await cluster.direct.create(configMaps, aMap('contested', { x: 'theirs' }))
    await cluster.direct.replace(configMaps, {
      ...(await cluster.direct.get(configMaps, { namespace, name: 'contested' }))!,
      data: { x: 'theirs again' },
    })
    const mine = aMap('contested', { x: 'mine' })
    const refused = await failure(cluster.client.apply(configMaps, mine, { force: false }))
    expect(refused.isConflict).toBe(true)
    expect((await cluster.client.apply(configMaps, mine)).data).toEqual({ x: 'mine' })
  })

  it('applies a status without touching the rest', async () => {
    const metadata = { name: 'pod', namespace }
    const spec = { containers: [{ name: 'c', image: 'none' }] }
    const pod = await cluster.client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec })
    const status = { phase: 'Running' as const }
    const { uid } = pod.metadata
    await cluster.client.applyStatus(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, uid },
      status,
    })
    const seen = await cluster.client.get(pods, metadata)
    expect(seen?.status?.phase).toBe('Running')
    expect(seen?.spec?.containers[0]?.image).toBe('none')
    const other = { ...metadata, uid: '00000000-0000-0000-0000-000000000000' }
    const refused = await failure(
      cluster.client.applyStatus(pods, { apiVersion: 'v1', kind: 'Pod', metadata: other, status }),
    )
    expect(refused).toMatchObject({ status: 409 })
  })

  it('does not delete a successor of the same name', async () => {
    const first = await cluster.client.create(configMaps, aMap('reborn'))
    await cluster.client.delete(configMaps, first.metadata)
    const second = await cluster.client.create(configMaps, aMap('reborn'))
    expect(await cluster.client.delete(configMaps, first.metadata, { uid: first.metadata.uid })).toBe(false)
    expect((await cluster.client.get(configMaps, second.metadata))?.metadata.uid).toBe(second.metadata.uid)
    const stale = { uid: second.metadata.uid, resourceVersion: '1' }
    const refused = await failure(cluster.client.delete(configMaps, second.metadata, stale))
    expect(refused.isConflict).toBe(true)
  })

  it('lists in pages and fills in the kind', async () => {
    const scope = await cluster.namespace()
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await cluster.direct.create(configMaps, { ...aMap(name), metadata: { name, namespace: scope } })
    }
    const page = await cluster.client.list(configMaps, { namespace: scope, limit: 2 })
    expect(page.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      'ConfigMap a',
      'ConfigMap b',
    ])
    expect(page.continueToken).toBeDefined()
    const all = await cluster.client.listAll(configMaps, { namespace: scope, limit: 2 })
    expect(all.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  const kubectl = (...given: string[]): Promise<string> =>
    run(toolPath('kubectl'), [`--kubeconfig=${cluster.server.kubeconfig}`, '-n', namespace, ...given])

  it('reviews a token for one audience', async () => {
    await kubectl('create', 'serviceaccount', 'trainer')
    const token = (await kubectl('create', 'token', 'trainer', '--audience=tributary-hub')).trim()
    const review = await cluster.client.reviewToken(token, ['tributary-hub'])
    expect(review).toMatchObject({
      authenticated: true,
      audiences: ['tributary-hub'],
      user: { username: `system:serviceaccount:${namespace}:trainer` },
    })
    const elsewhere = await cluster.client.reviewToken(token, ['another'])
    expect(elsewhere.authenticated ?? false).toBe(false)
    const nonsense = await cluster.client.reviewToken('not a token', ['tributary-hub'])
    expect(nonsense.authenticated ?? false).toBe(false)
  })

  it('presents its own token, and says who may not do what', async () => {
    await kubectl('create', 'serviceaccount', 'stranger')
    const token = (await kubectl('create', 'token', 'stranger')).trim()
    const kubeConfig = new KubeConfig()
    const [viaProxy] = cluster.proxy.kubeConfig.clusters
    kubeConfig.loadFromClusterAndUser(viaProxy!, { name: 'stranger', token })
    const client = createKubeClient(kubeConfig, { metrics: createHarness().metrics })
    const error = await failure(client.list(configMaps, { namespace }))
    expect(error).toMatchObject({ status: 403, reason: 'Forbidden' })
    expect(error.message).toContain(`system:serviceaccount:${namespace}:stranger`)
    client.close()
  })

  it.each([
    { name: 'a reset', fault: { kind: 'reset' }, want: { status: 0, reason: 'ConnectionFailed' } },
    {
      name: 'an answer cut short',
      fault: { kind: 'truncate', bytes: 10 },
      want: { status: 0, reason: 'ConnectionFailed' },
    },
    { name: 'a 500', fault: { kind: 'status', status: 500 }, want: { status: 500, reason: 'InternalError' } },
    {
      name: 'a 429 with its Retry-After',
      fault: { kind: 'status', status: 429, retryAfterSeconds: 3 },
      want: { status: 429, reason: 'TooManyRequests', retryAfterMs: 3000 },
    },
    { name: 'silence', fault: { kind: 'hang' }, want: { status: 0, reason: 'Timeout' } },
  ] as const)('names $name', async ({ fault, want }) => {
    cluster.proxy.add({ match: { method: 'GET' }, fault, times: 1 })
    const error = await failure(cluster.client.withTimeout(300).get(configMaps, { namespace, name: 'a' }))
    expect(error).toMatchObject(want)
    expect(await cluster.client.listAll(configMaps, { namespace })).toBeInstanceOf(Array)
  })

  it('says that a create was made whose answer was lost', async () => {
    cluster.proxy.add({ match: { method: 'POST' }, fault: { kind: 'dropResponse' }, times: 1 })
    expect((await failure(cluster.client.create(configMaps, aMap('lost')))).reason).toBe('ConnectionFailed')
    expect((await failure(cluster.client.create(configMaps, aMap('lost')))).reason).toBe('AlreadyExists')
  })

  it('refuses an answer that is too large', async () => {
    const { proxy } = cluster
    await cluster.direct.create(configMaps, aMap('large', { x: 'x'.repeat(5000) }))
    const client = createKubeClient(proxy.kubeConfig, {
      metrics: createHarness().metrics,
      maxResponseBytes: 4000,
    })
    const error = await failure(client.get(configMaps, { namespace, name: 'large' }))
    expect(error.reason).toBe('ResponseTooLarge')
    client.close()
  })

  it('sends no write once its guard is lost, and breaks off the one under way', async () => {
    const leadership = new AbortController()
    const assertHeld = (): void => {
      leadership.signal.throwIfAborted()
    }
    const guarded = cluster.client.guardedBy({ signal: leadership.signal, assertHeld })
    await guarded.create(configMaps, aMap('guarded'))
    cluster.proxy.add({ match: { method: 'DELETE' }, fault: { kind: 'hang' } })
    const hanging = failure(guarded.delete(configMaps, { namespace, name: 'guarded' }))
    leadership.abort(new ApiError({ status: 0, reason: 'NotLeader', message: 'lost' }))
    expect((await hanging).reason).toBe('NotLeader')
    const sentBefore = cluster.proxy.requests.length
    expect((await failure(guarded.apply(configMaps, aMap('guarded', { x: '1' })))).reason).toBe('NotLeader')
    expect(cluster.proxy.requests.length).toBe(sentBefore)
    expect(await guarded.get(configMaps, { namespace, name: 'guarded' })).toBeDefined()
  })

  it('asks its guard before each write, not only the signal', async () => {
    const suspended = new ApiError({ status: 0, reason: 'NotLeader', message: 'suspended' })
    const assertHeld = (): void => {
      throw suspended
    }
    const guarded = cluster.client.guardedBy({ signal: new AbortController().signal, assertHeld })
    const sentBefore = cluster.proxy.requests.length
    const ref = { namespace, name: 'a' }
    const object = { ...aMap('a'), metadata: { ...ref } }
    const writes = [
      () => guarded.create(configMaps, object),
      () => guarded.replace(configMaps, { ...object, data: {} } as ConfigMap),
      () => guarded.apply(configMaps, object),
      () => guarded.applyStatus(configMaps, object),
      () => guarded.mergePatch(configMaps, ref, {}),
      () => guarded.delete(configMaps, ref),
      () => guarded.withTimeout(100).delete(configMaps, ref),
    ]
    for (const write of writes) expect(await failure(write())).toBe(suspended)
    expect(cluster.proxy.requests.length).toBe(sentBefore)
  })

  it.each(['../secrets/x', 'a/b', '', '..', 'a b'])(
    'refuses the name "%s" before it becomes a path',
    async (name) => {
      await expect(async () => cluster.client.get(configMaps, { namespace, name })).rejects.toThrow(
        /Kubernetes name/,
      )
    },
  )
})
