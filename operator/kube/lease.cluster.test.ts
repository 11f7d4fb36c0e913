import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { KubeClient } from './client.ts'
import { startLeaderElection } from './lease.ts'
import type { LeaderElection, Leadership } from './lease.ts'
import { configMaps, leases } from './resources.ts'
import { startFaultyCluster } from './testing/cluster.ts'
import type { FaultyCluster } from './testing/cluster.ts'
import { createHarness, until } from './testing/harness.ts'

const TIMING = { leaseDurationMs: 2_000, renewDeadlineMs: 1_200, retryPeriodMs: 150 }

interface Process {
  election: LeaderElection
  log: string[]
  leadership: () => Leadership | undefined
}

describe('leader election on a real API server', () => {
  let cluster: FaultyCluster
  let namespace: string
  const elections: LeaderElection[] = []

  beforeAll(async () => {
    cluster = await startFaultyCluster(1_000)
  })
  beforeEach(async () => {
    namespace = await cluster.namespace()
  })
  afterEach(async () => {
    cluster.proxy.clear()
    cluster.proxy.thaw()
    await Promise.all(elections.splice(0).map((election) => election.stop()))
  })
  afterAll(async () => {
    await cluster.stop()
  })

  const start = (identity: string, client: KubeClient): Process => {
    const { clock, random, log: logger, metrics } = createHarness()
    const log: string[] = []
    let held: Leadership | undefined
    const election = startLeaderElection({
      client,
      lease: { namespace, name: 'operator' },
      identity,
      onStarted: (leadership) => {
        held = leadership
        log.push('started')
      },
      onLost: (reason) => log.push(`lost: ${reason}`),
      clock,
      random,
      log: logger,
      metrics,
      ...TIMING,
    })
    elections.push(election)
    return { election, log, leadership: () => held }
  }
  const holder = async (): Promise<string | null | undefined> =>
    (await cluster.direct.get(leases, { namespace, name: 'operator' }))?.spec?.holderIdentity

  it('lets one of two lead, and the other after it has stopped', async () => {
    const a = start('a', cluster.direct)
    await until('a leads', () => a.election.isLeader)
    const b = start('b', cluster.direct)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(b.log).toEqual([])
    await a.election.stop()
    await until('b leads', () => b.election.isLeader)
    expect(await holder()).toBe('b')
  })

  it('keeps leading when the answer to a renewal is lost', async () => {
    const a = start('a', cluster.client)
    await until('a leads', () => a.election.isLeader)
    const rule = cluster.proxy.add({ match: { method: 'PUT' }, fault: { kind: 'dropResponse' }, times: 2 })
    await until('both were lost', () => rule.hits === 2)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(a.log).toEqual(['started'])
  })

  it('cut off, writes nothing once another leads', async () => {
    const a = start('a', cluster.client)
    await until('a leads', () => a.election.isLeader)
    const leadership = a.leadership()!
    const writer = cluster.client.guardedBy(leadership)
    const b = start('b', cluster.direct)
    const written = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-a', namespace } }
    await writer.apply(configMaps, written)
    cluster.proxy.freeze()
    const underWay = writer.apply(configMaps, { ...written, data: { late: 'yes' } })
    await expect(underWay).rejects.toThrow()
    await until('b leads', () => b.election.isLeader)
    expect(a.election.isLeader).toBe(false)
    expect(a.log).toEqual(['started', 'lost: the lease could not be renewed for 1200 ms'])
    cluster.proxy.thaw()
    const sentBefore = cluster.proxy.writes().length
    await expect(writer.apply(configMaps, { ...written, data: { late: 'yes' } })).rejects.toThrow(
      /write refused/,
    )
    expect(cluster.proxy.writes().length).toBe(sentBefore)
    expect((await cluster.direct.get(configMaps, written.metadata))?.data).toBeUndefined()
  })
})
