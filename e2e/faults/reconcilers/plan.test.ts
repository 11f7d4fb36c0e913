import { describe, expect, it } from 'vitest'
import { common, EMPTY_TRACE, familyOf, inWords, plansFor, selection, shuffle } from './plan.ts'
import { confine, parsePath, Tracker } from './tracker.ts'
import { firstDifferenceOf } from './state.ts'
import { masked } from './mask.ts'

const lane = { name: 'lane-a0', nodes: ['edge-1-lane-a0', 'edge-2-lane-a0'] }
const request = (method: string, path: string, body: object = {}) => ({
  method,
  path,
  body: Buffer.from(JSON.stringify(body)),
})

describe('plans', () => {
  const trace = {
    writes: ['POST pods/edge-1 #1'],
    events: ['ADDED Pod edge-1 #1'],
    reads: ['GET pods #1', 'GET federatedrounds/digits #1'],
    calls: ['applyModel #1', 'getModel #1', 'getModel #3'],
  }
  const words = plansFor('campaign', trace).map((plan) => `${familyOf(plan)} ${inWords(plan)}`)

  it('aim every fault of its family at everything that was done', () => {
    expect(words.filter((line) => line.includes('POST pods'))).toHaveLength(11)
    expect(words.filter((line) => line.startsWith('watch'))).toHaveLength(3)
    expect(words).toContain('staleRead campaign: crashAfter at POST pods/edge-1 #1, then older pods')
    expect(words).toContain('staleRead campaign: absent at GET federatedrounds/digits #1')
    expect(words).toContain('crash campaign: crashBefore at applyModel #1')
  })

  it('leave lists, which a restart reads again, and most questions of the same kind', () => {
    expect(words.filter((line) => line.includes('GET pods #'))).toEqual([])
    expect(words.filter((line) => line.includes('getModel'))).toEqual(['hub campaign: refuse at getModel #1'])
  })

  it('are aimed only at what both golden runs did', () => {
    const other = { ...EMPTY_TRACE, writes: ['POST pods/edge-2 #1', 'POST pods/edge-1 #1'] }
    expect(common(trace, other)).toEqual({ ...EMPTY_TRACE, writes: ['POST pods/edge-1 #1'] })
  })

  it('are selected evenly, the same for the same seed', () => {
    const all = plansFor('campaign', trace)
    const chosen = selection(all, 5, 7)
    expect(new Set(chosen.map(familyOf)).size).toBe(5)
    expect(selection(all, 5, 7)).toEqual(chosen)
    expect(selection(all, 5, 8)).not.toEqual(chosen)
    expect(selection(all, 1000, 7)).toHaveLength(all.length)
  })

  it('are shuffled without losing any', () => {
    expect(shuffle([1, 2, 3, 4, 5], 3).sort()).toEqual([1, 2, 3, 4, 5])
  })
})

describe('names of what an operator does', () => {
  it('are made of resource, object and how often, a pod being known by its node', () => {
    const tracker = new Tracker(lane)
    const pods = '/api/v1/namespaces/plan-a1/pods'
    const pod = { metadata: { name: 'digits-0123456789ab' }, spec: { on: 'edge-2-lane-a0' } }
    expect(tracker.request(request('POST', pods, pod))).toBe('POST pods/edge-2 #1')
    expect(tracker.request(request('DELETE', `${pods}/digits-0123456789ab`))).toBe('DELETE pods/edge-2 #1')
    expect(tracker.request(request('DELETE', `${pods}/digits-0123456789ab`))).toBe('DELETE pods/edge-2 #2')
    const status = '/apis/tributary.dev/v1alpha1/namespaces/plan-a1/federatedrounds/digits/status?force=true'
    expect(tracker.request(request('PATCH', status))).toBe('PATCH federatedrounds/digits/status #1')
  })

  it('tell a namespaced path from one of the whole cluster', () => {
    expect(parsePath('/apis/g/v1/things?limit=5')).toEqual({ resource: 'things', name: '', subresource: '' })
    expect(parsePath('/api/v1/nodes/edge-1')).toEqual({ resource: 'nodes', name: 'edge-1', subresource: '' })
  })

  it('are confined to the namespace and the nodes of a plan', () => {
    const inside = confine({ namespace: 'plan-a1', lane: 'lane-a0' })
    expect(inside('/apis/tributary.dev/v1alpha1/federatedrounds?watch=true')).toBe(
      '/apis/tributary.dev/v1alpha1/namespaces/plan-a1/federatedrounds?watch=true',
    )
    expect(inside('/api/v1/nodes?watch=true')).toContain(
      '&labelSelector=faults.tributary.dev%2Flane%3Dlane-a0',
    )
    expect(inside('/api/v1/namespaces/x/pods')).toBe('/api/v1/namespaces/x/pods')
  })
})

describe('states', () => {
  it('differ in the first field that differs', () => {
    expect(firstDifferenceOf({ a: { b: 1 } }, { a: { b: 1 } })).toBeUndefined()
    expect(firstDifferenceOf({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] })).toBe('a.1.b: wanted 2, found 3')
    expect(firstDifferenceOf({ a: 1 }, {})).toBe('a: wanted 1, found nothing')
    expect(firstDifferenceOf({}, { a: {} })).toBe('a: wanted nothing, found {}')
  })

  it('are masked where runs differ by nature', () => {
    const text =
      'plan-a1 edge-1-lane-a0 2026-01-01T00:00:00Z digits-0123456789ab 01234567-89ab-cdef-0123-456789abcdef'
    expect(masked(text, { namespace: 'plan-a1', lane: 'lane-a0' })).toBe(
      '<namespace> edge-1 <time> digits-<hash> <uid>',
    )
  })
})
