import { describe, expect, it } from 'vitest'
import { backOffMs } from './back-off.ts'
import { sleep } from './clock.ts'
import { acquired, released, renewed } from './lease-record.ts'
import { LineSplitter } from './lines.ts'
import { collectionPath, objectPath, withQuery } from './paths.ts'
import { configMaps, deployments, nodes } from './resources.ts'
import { ManualClock } from './testing/manual-clock.ts'
import { keyOf, refOf } from './types.ts'

describe('lines', () => {
  const linesOf = (chunks: string[], limit = 100): string[] => {
    const splitter = new LineSplitter(limit)
    for (const chunk of chunks) splitter.push(Buffer.from(chunk))
    const lines: string[] = []
    for (let line = splitter.shift(); line; line = splitter.shift()) lines.push(line.toString())
    return lines
  }

  it.each([
    { name: 'several in one chunk', chunks: ['a\nb\n'], want: ['a', 'b'] },
    { name: 'one over several chunks', chunks: ['a', 'b', 'c\n'], want: ['abc'] },
    { name: 'a newline of its own', chunks: ['a', '\n', 'b\n'], want: ['a', 'b'] },
    { name: 'an unfinished one is held back', chunks: ['a\nb'], want: ['a'] },
    { name: 'empty ones are skipped', chunks: ['\n\na\n'], want: ['a'] },
    { name: 'one as long as the limit', chunks: [`${'x'.repeat(100)}\ny\n`], want: ['x'.repeat(100), 'y'] },
  ])('$name', ({ chunks, want }) => {
    expect(linesOf(chunks)).toEqual(want)
  })

  it.each([
    { name: 'in one chunk', chunks: [`${'x'.repeat(101)}\n`] },
    { name: 'over chunks, before its end is seen', chunks: ['x'.repeat(60), 'x'.repeat(60)] },
  ])('refuses a line beyond the limit, $name', ({ chunks }) => {
    expect(() => linesOf(chunks)).toThrow(/longer than 100 bytes/)
  })

  it('cuts no character in two', () => {
    const bytes = Buffer.from('grün\n')
    const splitter = new LineSplitter(100)
    for (const byte of bytes) splitter.push(Buffer.from([byte]))
    expect(splitter.shift()?.toString()).toBe('grün')
  })
})

describe('back-off', () => {
  it.each([
    [1, 0, 50],
    [1, 1, 100],
    [2, 0.5, 150],
    [4, 1, 800],
    [5, 1, 1000],
    [5000, 1, 1000],
  ])('after %d failures and a draw of %d', (failures, draw, want) => {
    expect(backOffMs({ minMs: 100, maxMs: 1000 }, failures, () => draw)).toBe(want)
  })
})

describe('paths', () => {
  it('follows the group, the namespace and the name', () => {
    expect(collectionPath(configMaps, 'n')).toBe('/api/v1/namespaces/n/configmaps')
    expect(collectionPath(configMaps)).toBe('/api/v1/configmaps')
    expect(objectPath(nodes, { name: 'edge-1.local' })).toBe('/api/v1/nodes/edge-1.local')
    expect(objectPath(deployments, { namespace: 'n', name: 'd' }, 'status')).toBe(
      '/apis/apps/v1/namespaces/n/deployments/d/status',
    )
  })

  it('says what is missing or too much', () => {
    expect(() => objectPath(configMaps, { name: 'a' })).toThrow('ConfigMap "a": namespace is missing')
    expect(() => collectionPath(nodes, 'n')).toThrow('Node belongs to no namespace')
  })

  it('quotes queries and leaves out what is not asked for', () => {
    const query = { labelSelector: 'a=b,c', limit: 5, watch: true, continue: undefined, fieldSelector: '' }
    expect(withQuery('/x', query)).toBe('/x?labelSelector=a%3Db%2Cc&limit=5&watch=true')
    expect(withQuery('/x', {})).toBe('/x')
  })
})

describe('keys', () => {
  it.each([{ namespace: 'n', name: 'a' }, { name: 'a' }])('come and go', (ref) => {
    expect(refOf(keyOf(ref))).toEqual(ref)
  })
})

describe('lease records', () => {
  const ref = { namespace: 'n', name: 'l' }
  const claim = { identity: 'me', nowMs: 0, durationMs: 15_000 }

  it('counts a change of holder and keeps the version', () => {
    const theirs = acquired(ref, undefined, { ...claim, identity: 'them' })
    theirs.metadata.resourceVersion = '7'
    const mine = acquired(ref, theirs, claim)
    expect(mine.metadata.resourceVersion).toBe('7')
    expect(mine.spec).toMatchObject({ holderIdentity: 'me', leaseTransitions: 1 })
  })

  it('renews only the time, and gives back only the name', () => {
    const lease = acquired(ref, undefined, claim)
    expect(renewed(lease, { ...claim, nowMs: 1500 }).spec).toEqual({
      ...lease.spec,
      renewTime: '1970-01-01T00:00:01.500000Z',
    })
    expect(released(lease, 0).spec).toMatchObject({ holderIdentity: '', leaseTransitions: 0 })
  })
})

describe('sleeping', () => {
  it('ends early when the signal aborts, and leaves no timer', async () => {
    const clock = new ManualClock()
    const stopping = new AbortController()
    const sleeping = sleep(clock, 1000, stopping.signal)
    stopping.abort()
    await sleeping
    await sleep(clock, 1000, stopping.signal)
    expect(clock.timers).toBe(0)
  })
})
