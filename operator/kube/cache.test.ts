import { describe, expect, it } from 'vitest'
import { Cache } from './cache.ts'
import type { Change } from './cache.ts'
import type { KubeObject } from './types.ts'

const anObject = (name: string, version = '1', uid = `uid-${name}`): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'n', uid, resourceVersion: version },
})
const whole = (object: KubeObject): KubeObject => object

function aCache(...objects: KubeObject[]): {
  cache: Cache<KubeObject>
  changes: string[]
  errors: unknown[]
} {
  const errors: unknown[] = []
  const cache = new Cache<KubeObject>((error) => errors.push(error))
  for (const object of objects) cache.receive({ type: 'applied', object }, whole)
  const changes: string[] = []
  cache.subscribe((change: Change<KubeObject>) => {
    changes.push(
      `${change.type} ${change.key} ${change.object.metadata.uid ?? ''}@${change.object.metadata.resourceVersion ?? ''}`,
    )
  })
  return { cache, changes, errors }
}

function relist(cache: Cache<KubeObject>, ...objects: KubeObject[]): void {
  cache.receive({ type: 'restarted' }, whole)
  cache.receive({ type: 'page', objects }, whole)
  cache.receive({ type: 'listed' }, whole)
}

describe('the cache', () => {
  it('finds objects by reference and by key', () => {
    const { cache } = aCache(anObject('a'))
    expect(cache.get({ namespace: 'n', name: 'a' })).toBe(cache.get('n/a'))
    expect(cache.get('n/b')).toBeUndefined()
    expect(cache.list(({ metadata }) => metadata.name !== 'a')).toEqual([])
  })

  it('tells what was added, modified and deleted', () => {
    const { cache, changes } = aCache()
    cache.receive({ type: 'applied', object: anObject('a') }, whole)
    cache.receive({ type: 'applied', object: anObject('a', '2') }, whole)
    cache.receive({ type: 'deleted', object: anObject('a', '3') }, whole)
    expect(changes).toEqual(['added n/a uid-a@1', 'modified n/a uid-a@2', 'deleted n/a uid-a@2'])
    expect(cache.size).toBe(0)
  })

  it('keeps quiet about what it knows', () => {
    const { cache, changes } = aCache(anObject('a'))
    cache.receive({ type: 'applied', object: anObject('a') }, whole)
    relist(cache, anObject('a'))
    expect(changes).toEqual([])
  })

  it('reports what a list no longer shows, when the list is complete and not before', () => {
    const { cache, changes } = aCache(anObject('a'), anObject('b'))
    cache.receive({ type: 'restarted' }, whole)
    cache.receive({ type: 'page', objects: [anObject('b')] }, whole)
    expect(changes).toEqual([])
    cache.receive({ type: 'listed' }, whole)
    expect(changes).toEqual(['deleted n/a uid-a@1'])
  })

  it('forgets what an abandoned list had shown', () => {
    const { cache, changes } = aCache(anObject('a'))
    cache.receive({ type: 'restarted' }, whole)
    cache.receive({ type: 'page', objects: [anObject('a')] }, whole)
    relist(cache)
    expect(changes).toEqual(['deleted n/a uid-a@1'])
  })

  it('reports a successor of the same name as a deletion and an addition', () => {
    const { cache, changes } = aCache(anObject('a'))
    relist(cache, anObject('a', '5', 'uid-second'))
    expect(changes).toEqual(['deleted n/a uid-a@1', 'added n/a uid-second@5'])
  })

  it('does not delete a successor on a late word about its predecessor', () => {
    const { cache, changes } = aCache(anObject('a', '5', 'uid-second'))
    cache.receive({ type: 'deleted', object: anObject('a', '2') }, whole)
    expect(changes).toEqual([])
    expect(cache.size).toBe(1)
  })

  it('reports an object that is no longer of interest as deleted', () => {
    const { cache, changes } = aCache(anObject('a'))
    cache.receive({ type: 'applied', object: anObject('a', '2') }, () => undefined)
    expect(changes).toEqual(['deleted n/a uid-a@1'])
  })

  it('goes on telling the others when a subscriber throws, and none who left', () => {
    const { cache, changes, errors } = aCache()
    const failing = new Cache<KubeObject>((error) => errors.push(error))
    failing.subscribe(() => {
      throw new Error('broken')
    })
    const heard: string[] = []
    const leave = failing.subscribe(({ key }) => heard.push(key))
    failing.receive({ type: 'applied', object: anObject('a') }, whole)
    leave()
    failing.receive({ type: 'applied', object: anObject('b') }, whole)
    expect(heard).toEqual(['n/a'])
    expect(errors).toHaveLength(2)
    expect([cache.size, changes]).toEqual([0, []])
  })

  it('is synced with the first complete list, also for those who asked before', async () => {
    const { cache } = aCache()
    const waiting = cache.whenSynced(new AbortController().signal)
    expect(cache.synced).toBe(false)
    relist(cache)
    await waiting
    expect(cache.synced).toBe(true)
    await cache.whenSynced(AbortSignal.abort())
  })

  it('gives up waiting when asked to', async () => {
    const { cache } = aCache()
    await expect(cache.whenSynced(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})
