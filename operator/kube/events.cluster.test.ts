import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { run } from '#e2e/cluster/run.ts'
import { toolPath } from '#e2e/cluster/tools.ts'
import { createEventRecorder } from './events.ts'
import type { EventRecorder, EventRecorderOptions, EventSubject } from './events.ts'
import { configMaps, events } from './resources.ts'
import type { Event } from './resources.ts'
import { startFaultyCluster } from './testing/cluster.ts'
import type { FaultyCluster } from './testing/cluster.ts'
import { createHarness, until } from './testing/harness.ts'
import type { Harness } from './testing/harness.ts'
import { settle } from './testing/manual-clock.ts'

describe('the event recorder', () => {
  let cluster: FaultyCluster
  let namespace: string
  let harness: Harness
  let subject: EventSubject

  beforeAll(async () => {
    cluster = await startFaultyCluster(500)
  })
  beforeEach(async () => {
    namespace = await cluster.namespace()
    harness = createHarness()
    cluster.proxy.requests.length = 0
    subject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'thing', namespace, uid: 'uid-1' } }
  })
  afterEach(() => {
    cluster.proxy.clear()
  })
  afterAll(async () => {
    await cluster.stop()
  })

  const aRecorder = (more: Partial<EventRecorderOptions> = {}): EventRecorder => {
    const { clock, log, metrics } = harness
    const who = { controller: 'tributary.dev/operator', instance: 'operator-0' }
    return createEventRecorder({ client: cluster.client, ...who, clock, log, metrics, ...more })
  }
  const written = (): Promise<Event[]> => cluster.direct.listAll(events, { namespace })
  const started = {
    type: 'Normal',
    reason: 'RoundStarted',
    note: 'round 3 of 20 with 10 participants',
  } as const

  it('writes an event that describe shows', async () => {
    const recorder = aRecorder()
    recorder.record(subject, started)
    await recorder.flush()
    const [event] = await written()
    expect(event).toMatchObject({
      type: 'Normal',
      reason: 'RoundStarted',
      action: 'RoundStarted',
      note: started.note,
      reportingController: 'tributary.dev/operator',
      reportingInstance: 'operator-0',
      regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'thing', namespace, uid: 'uid-1' },
    })
    expect(event?.series).toBeUndefined()
  })

  it('counts what is said again, also after a restart', async () => {
    const recorder = aRecorder()
    for (let times = 0; times < 5; times += 1) recorder.record(subject, started)
    await recorder.flush()
    const afterRestart = aRecorder()
    afterRestart.record(subject, started)
    await afterRestart.flush()
    const all = await written()
    expect(all.map(({ series }) => series?.count)).toEqual([6])
  })

  it('is read well with kubectl describe', async () => {
    const data = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'thing', namespace } }
    const thing = await cluster.direct.create(configMaps, data)
    const recorder = aRecorder()
    for (let times = 0; times < 3; times += 1) recorder.record(thing, started)
    await recorder.flush()
    const kubeconfig = `--kubeconfig=${cluster.server.kubeconfig}`
    const text = await run(toolPath('kubectl'), [
      kubeconfig,
      'describe',
      'configmap',
      'thing',
      '-n',
      namespace,
    ])
    expect(text).toMatch(/Normal +RoundStarted +.*\(x3 over .*\) +tributary.dev\/operator.* round 3 of 20/)
  })

  it('writes a repetition once an interval, not each time', async () => {
    const recorder = aRecorder({ seriesIntervalMs: 300 })
    recorder.record(subject, started)
    await until('the first', async () => (await written()).length === 1)
    const writesBefore = cluster.proxy.writes().length
    for (let times = 0; times < 20; times += 1) {
      recorder.record(subject, started)
      if (times % 5 === 0) await settle()
    }
    await until('the series', async () => (await written())[0]?.series?.count === 21)
    expect(cluster.proxy.writes().length - writesBefore).toBe(1)
    await recorder.flush()
  })

  it.each([
    { name: 'another note', draft: { ...started, note: 'round 4' }, uid: 'uid-1' },
    { name: 'another reason', draft: { ...started, reason: 'RoundEnded' }, uid: 'uid-1' },
    { name: 'another object of the same name', draft: started, uid: 'uid-2' },
  ])('keeps apart: $name', async ({ draft, uid }) => {
    const recorder = aRecorder()
    recorder.record(subject, started)
    recorder.record({ ...subject, metadata: { ...subject.metadata, uid } }, draft)
    await recorder.flush()
    expect(await written()).toHaveLength(2)
  })

  it('cuts a long note at a whole character', async () => {
    const recorder = aRecorder()
    recorder.record(subject, { ...started, note: 'ü'.repeat(2000) })
    await recorder.flush()
    const [event] = await written()
    expect(event?.note).toBe(`${'ü'.repeat(510)}…`)
  })

  it('writes events of objects without a namespace where describe looks for them', async () => {
    const recorder = aRecorder()
    recorder.record({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'edge-1', uid: namespace } }, started)
    await recorder.flush()
    const all = await cluster.direct.listAll(events, { namespace: 'default' })
    expect(all.some(({ regarding }) => regarding?.uid === namespace)).toBe(true)
  })

  it('never throws: what cannot be written is counted and dropped', async () => {
    cluster.proxy.add({ match: { path: /events/ }, fault: { kind: 'status', status: 500 } })
    const recorder = aRecorder()
    recorder.record(subject, started)
    await recorder.flush()
    expect(harness.lines.map(({ message }) => message)).toEqual(['event not recorded'])
    expect(await harness.registry.metrics()).toContain('tributary_events_dropped_total 1')
  })

  it('does not grow while the API server is away', async () => {
    cluster.proxy.add({ match: { path: /events/ }, fault: { kind: 'hang' } })
    const recorder = aRecorder({ maxPending: 3 })
    for (let index = 0; index < 10; index += 1) recorder.record(subject, { ...started, note: String(index) })
    await settle()
    expect(harness.lines.length).toBeGreaterThanOrEqual(6)
    cluster.proxy.clear()
    await recorder.flush()
    expect((await written()).length).toBeLessThanOrEqual(3)
  })

  it.each([
    { name: 'never arrived', fault: { kind: 'reset' } },
    { name: 'was answered by silence', fault: { kind: 'hang' } },
    { name: 'was made, but its answer lost', fault: { kind: 'dropResponse' } },
    { name: 'met an overloaded server', fault: { kind: 'status', status: 429 } },
  ] as const)('writes once what $name', async ({ fault }) => {
    const rule = cluster.proxy.add({ match: { method: 'POST', path: /events/ }, fault, times: 1 })
    const recorder = aRecorder({ seriesIntervalMs: 50 })
    recorder.record(subject, started)
    await until('the second attempt', () => cluster.proxy.writes().length > 0 || harness.lines.length > 0)
    await until('the fault', () => rule.hits === 1)
    await recorder.flush()
    const all = await written()
    expect(all.map(({ series }) => series)).toEqual([undefined])
    expect(harness.lines).toEqual([])
  })

  it('counts in spite of a conflict', async () => {
    cluster.proxy.add({ match: { method: 'PATCH' }, fault: { kind: 'status', status: 409 }, times: 1 })
    const recorder = aRecorder()
    recorder.record(subject, started)
    await recorder.flush()
    recorder.record(subject, started)
    await recorder.flush()
    expect((await written())[0]?.series?.count).toBe(2)
  })
})
