import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Change } from './cache.ts'
import { createKubeClient } from './client.ts'
import { startInformer } from './informer.ts'
import type { Informer, InformerOptions } from './informer.ts'
import { configMaps } from './resources.ts'
import type { ConfigMap } from './resources.ts'
import { startFaultyCluster } from './testing/cluster.ts'
import type { FaultyCluster } from './testing/cluster.ts'
import type { Fault, StreamEnd } from './testing/fault-rules.ts'
import { createHarness, until } from './testing/harness.ts'
import type { Harness } from './testing/harness.ts'
import type { WatchTiming } from './watch.ts'

const TIMING: Partial<WatchTiming> = {
  pageSize: 3,
  serverTimeoutSeconds: 30,
  idleTimeoutMs: 700,
  backOffMinMs: 20,
  backOffMaxMs: 200,
  healthyAfterMs: 300,
}

describe('the informer through a faulty proxy', () => {
  let cluster: FaultyCluster
  let namespace: string
  let harness: Harness
  const informers: Informer<ConfigMap>[] = []

  beforeAll(async () => {
    cluster = await startFaultyCluster(700)
  })
  beforeEach(async () => {
    namespace = await cluster.namespace()
    harness = createHarness()
    cluster.proxy.requests.length = 0
  })
  afterEach(async () => {
    cluster.proxy.clear()
    cluster.proxy.thaw()
    await Promise.all(informers.splice(0).map((informer) => informer.stop()))
  })
  afterAll(async () => {
    await cluster.stop()
  })

  const put = (name: string, value = '1'): Promise<ConfigMap> =>
    cluster.direct.apply(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace },
      data: { value },
    })
  const remove = (name: string): Promise<boolean> => cluster.direct.delete(configMaps, { namespace, name })

  const start = (
    more: Partial<InformerOptions<ConfigMap>> = {},
  ): { informer: Informer<ConfigMap>; changes: string[]; contents: () => string } => {
    const { clock, random, log, metrics } = harness
    const options = { client: cluster.client, type: configMaps, namespace, timing: TIMING, ...more }
    const informer = startInformer({ clock, random, log, metrics, ...options })
    informers.push(informer)
    const changes: string[] = []
    informer.cache.subscribe((change: Change<ConfigMap>) => {
      changes.push(`${change.type} ${change.object.metadata.name}=${change.object.data?.['value'] ?? ''}`)
    })
    const contents = (): string =>
      informer.cache
        .list()
        .map(({ metadata, data }) => `${metadata.name}=${data?.['value'] ?? ''}`)
        .sort()
        .join(' ')
    return { informer, changes, contents }
  }
  const synced = (informer: Informer<ConfigMap>): Promise<void> =>
    informer.cache.whenSynced(AbortSignal.timeout(10_000))
  const lists = (): number =>
    cluster.proxy.requests.filter(({ path }) => path.includes('/configmaps?limit')).length
  const watches = (): number =>
    cluster.proxy.requests.filter(({ path }) => path.includes('watch=true')).length

  it('lists in pages, then follows what happens', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await put(name)
    const { informer, changes, contents } = start()
    await synced(informer)
    expect(informer.cache.size).toBe(7)
    expect(lists()).toBe(3)
    await put('h')
    await put('a', '2')
    await remove('b')
    await until('the deletion', () => changes.length === 10)
    expect(changes.slice(7)).toEqual(['added h=1', 'modified a=2', 'deleted b=1'])
    expect(contents()).toBe('a=2 c=1 d=1 e=1 f=1 g=1 h=1')
  })

  it('holds only what keep returns, and leaves out what keep leaves out', async () => {
    await put('a')
    await put('b')
    const { informer } = start({
      keep: ({ apiVersion, kind, metadata: { name, namespace: scope, uid, resourceVersion } }) =>
        name === 'b'
          ? undefined
          : { apiVersion, kind, metadata: { name, namespace: scope, uid, resourceVersion } },
    })
    await synced(informer)
    expect(informer.cache.list().map((object) => Object.keys(object))).toEqual([
      ['apiVersion', 'kind', 'metadata'],
    ])
  })

  const ends: { name: string; then: StreamEnd; relists: boolean }[] = [
    { name: 'the regular end', then: 'end', relists: false },
    { name: 'a close in mid-stream', then: 'close', relists: false },
    { name: 'a reset', then: 'reset', relists: false },
    { name: 'silence (half-open)', then: 'hang', relists: false },
    { name: 'an ERROR event 500', then: { errorEvent: 500 }, relists: false },
    { name: 'an ERROR event 410', then: { errorEvent: 410 }, relists: true },
    { name: 'a line that is no JSON', then: { raw: '{"type":"ADDED","obj\n' }, relists: true },
    { name: 'a line cut off', then: { raw: '{"type":"ADDED","object":{' }, relists: false },
  ]
  it.each(ends)('goes on after $name, without loss or repetition', async ({ then, relists }) => {
    await put('a')
    await put('b')
    const rule = cluster.proxy.add({
      match: { watch: true },
      fault: { kind: 'stream', afterEvents: 1, then },
      times: 1,
    })
    const { informer, changes, contents } = start()
    await synced(informer)
    await until('the watch', () => rule.hits === 1)
    await put('c')
    await put('a', '2')
    await remove('b')
    await until('all changes', () => contents() === 'a=2 c=1')
    expect(changes).toEqual(['added a=1', 'added b=1', 'added c=1', 'modified a=2', 'deleted b=1'])
    expect(lists()).toBe(relists ? 2 : 1)
  })

  const refusals: { name: string; fault: Fault; relists: boolean }[] = [
    { name: '410', fault: { kind: 'status', status: 410 }, relists: true },
    { name: '400', fault: { kind: 'status', status: 400 }, relists: true },
    { name: '500', fault: { kind: 'status', status: 500 }, relists: false },
    { name: '429', fault: { kind: 'status', status: 429, retryAfterSeconds: 1 }, relists: false },
    { name: 'a reset', fault: { kind: 'reset' }, relists: false },
    { name: 'silence', fault: { kind: 'hang' }, relists: false },
  ]
  it.each(refusals)('goes on when opening the watch meets $name', async ({ fault, relists }) => {
    cluster.proxy.add({ match: { watch: true }, fault, times: 1 })
    const { informer, changes } = start()
    await synced(informer)
    await put('a')
    await until('the event', () => changes.length === 1)
    expect(lists()).toBe(relists ? 2 : 1)
  })

  it('lists anew when the server keeps refusing its version, as after a restore from a backup', async () => {
    cluster.proxy.add({ match: { watch: true }, fault: { kind: 'status', status: 504 }, times: 3 })
    const { informer, changes } = start()
    await synced(informer)
    await put('a')
    await until('the event', () => changes.length === 1)
    expect(lists()).toBe(2)
  })

  it.each([
    { name: 'a reset', fault: { kind: 'reset' }, wantLists: 4 },
    { name: 'a 500', fault: { kind: 'status', status: 500 }, wantLists: 4 },
    { name: 'an answer cut short', fault: { kind: 'truncate', bytes: 50 }, wantLists: 4 },
    { name: 'silence', fault: { kind: 'hang' }, wantLists: 4 },
    { name: 'a 410', fault: { kind: 'status', status: 410 }, wantLists: 5 },
  ] as const)('completes its list when a later page meets $name', async ({ fault, wantLists }) => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await put(name)
    cluster.proxy.add({ match: { path: /configmaps\?.*continue=/ }, fault, times: 1 })
    const { informer, contents } = start()
    await synced(informer)
    expect(contents()).toBe('a=1 b=1 c=1 d=1 e=1 f=1 g=1')
    expect(lists()).toBe(wantLists)
  })

  it('is not synced before the list is complete', async () => {
    await put('a')
    cluster.proxy.add({ match: { path: /configmaps/ }, fault: { kind: 'status', status: 500 } })
    const { informer } = start()
    await until('some attempts', () => lists() > 2)
    expect(informer.cache.synced).toBe(false)
    await expect(informer.cache.whenSynced(AbortSignal.timeout(50))).rejects.toThrow()
  })

  it('drops repeated events', async () => {
    cluster.proxy.add({ match: { watch: true }, fault: { kind: 'duplicateEvents' } })
    const { informer, changes } = start()
    await synced(informer)
    await put('a')
    await put('a', '2')
    await remove('a')
    await until('the deletion', () => changes.length >= 3)
    expect(changes).toEqual(['added a=1', 'modified a=2', 'deleted a=2'])
  })

  it('finds out after a break what was deleted, and what was made anew under its old name', async () => {
    await put('gone')
    await put('reborn', 'old')
    await put('same')
    cluster.proxy.add({
      match: { watch: true },
      fault: { kind: 'suppressEvents', types: ['ADDED', 'DELETED'] },
      times: 1,
    })
    const { informer, changes, contents } = start()
    await synced(informer)
    await until('the watch', () => watches() === 1)
    const changesBefore = changes.length
    await remove('gone')
    await remove('reborn')
    await put('reborn', 'new')
    cluster.proxy.add({ match: { watch: true }, fault: { kind: 'status', status: 410 }, times: 1 })
    cluster.proxy.resetAll()
    await until('the truth', () => contents() === 'reborn=new same=1')
    expect(changes.slice(changesBefore).sort()).toEqual([
      'added reborn=new',
      'deleted gone=1',
      'deleted reborn=old',
    ])
  })

  it('sees through an outage of everything', async () => {
    const { informer, contents } = start()
    await synced(informer)
    cluster.proxy.freeze()
    await put('a')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    cluster.proxy.thaw()
    await until('the object', () => contents() === 'a=1')
  })

  it('sees through a crash of the API server', async () => {
    await put('a')
    const { informer, contents } = start()
    await synced(informer)
    await cluster.server.apiServer.restart()
    await put('b')
    await until('the object', () => contents() === 'a=1 b=1')
  })

  it('goes on from a bookmark: a quiet resource costs no list', async () => {
    const { informer, changes } = start({
      timing: { ...TIMING, serverTimeoutSeconds: 3, idleTimeoutMs: 5000 },
    })
    await synced(informer)
    await until('the watch', () => watches() === 1)
    const metadata = { name: 'elsewhere', namespace: 'default' }
    await cluster.direct.apply(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
    await until('two regular ends', () => watches() >= 3)
    const versions = cluster.proxy.requests.map(({ path }) => /[?&]resourceVersion=(\d+)/.exec(path)?.[1])
    await put('a')
    await until('the event', () => changes.length === 1)
    expect(lists()).toBe(1)
    expect(new Set(versions.filter(Boolean)).size).toBeGreaterThan(1)
    expect(harness.lines).toEqual([])
  })

  it('slows down when it fails again and again, and counts it', async () => {
    cluster.proxy.add({ match: { path: /configmaps/ }, fault: { kind: 'reset' } })
    start()
    await until('some attempts', () => harness.lines.length >= 5)
    const delays = harness.lines.map(({ fields }) => (fields as { delayMs: number }).delayMs)
    expect(delays.slice(0, 5)).toEqual([15, 30, 60, 120, 150])
    expect(await harness.registry.metrics()).toMatch(
      /tributary_watch_restarts_total\{resource="configmaps",reason="ConnectionFailed"\} [5-9]/,
    )
  })

  it('asks for smaller pages when one is too large', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await put(name, 'x'.repeat(2000))
    const { metrics } = createHarness()
    const client = createKubeClient(cluster.proxy.kubeConfig, { metrics, maxResponseBytes: 8000 })
    const { informer } = start({ client, timing: { ...TIMING, pageSize: 8 } })
    await synced(informer)
    expect(informer.cache.size).toBe(6)
    client.close()
  })

  it.each([1, 2, 3])('ends with the truth after any mix of faults and writes (seed %d)', async (seed) => {
    let state = seed
    const draw = (below: number): number => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return (state >> 8) % below
    }
    const faults: Fault[] = [
      { kind: 'reset' },
      { kind: 'status', status: 500 },
      { kind: 'status', status: 410 },
      { kind: 'truncate', bytes: 700 },
      { kind: 'delay', ms: 30 },
      { kind: 'duplicateEvents' },
      ...(['end', 'close', 'reset', { errorEvent: 410 }, { errorEvent: 500 }] as StreamEnd[]).map(
        (then): Fault => ({ kind: 'stream', afterEvents: draw(4), then }),
      ),
    ]
    const { informer, contents } = start()
    const replayed = new Map<string, string>()
    informer.cache.subscribe(({ type, object: { metadata, data } }) => {
      const uid = metadata.uid ?? ''
      expect(replayed.has(uid)).toBe(type !== 'added')
      if (type === 'deleted') replayed.delete(uid)
      else replayed.set(uid, `${metadata.name}=${data?.['value'] ?? ''}`)
    })
    for (let turn = 0; turn < 60; turn += 1) {
      const name = `m${String(draw(8))}`
      if (draw(3) === 0) await remove(name)
      else await put(name, String(turn))
      if (draw(3) === 0) {
        cluster.proxy.add({ match: { path: /configmaps/ }, fault: faults[draw(faults.length)]!, times: 1 })
      }
      if (draw(6) === 0) cluster.proxy.resetAll()
      await new Promise((resolve) => setTimeout(resolve, draw(40)))
    }
    cluster.proxy.clear()
    const truth = (await cluster.direct.listAll(configMaps, { namespace }))
      .map(({ metadata, data }) => `${metadata.name}=${data?.['value'] ?? ''}`)
      .sort()
      .join(' ')
    await until(`the truth: ${truth}`, () => contents() === truth)
    expect([...replayed.values()].sort().join(' ')).toBe(truth)
    expect(harness.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('leaves no connection behind when stopped', async () => {
    const { informer } = start()
    await synced(informer)
    await until('the watch', () => watches() === 1)
    await informer.stop()
    const requests = cluster.proxy.requests.length
    await put('a')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(cluster.proxy.requests.length).toBe(requests)
    expect(informer.cache.size).toBe(0)
  })
})
