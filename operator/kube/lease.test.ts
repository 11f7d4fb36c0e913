import { describe, expect, it } from 'vitest'
import type { KubeClient } from './api.ts'
import { ApiError } from './errors.ts'
import { startLeaderElection } from './lease.ts'
import type { LeaderElection, Leadership } from './lease.ts'
import type { Lease } from './resources.ts'
import { createHarness } from './testing/harness.ts'
import { ManualClock, settle } from './testing/manual-clock.ts'

const REF = { namespace: 'n', name: 'operator' }

/** One Lease with optimistic locking, as the API server keeps it; each process has its own line to it. */
class LeaseServer {
  lease: Lease | undefined
  #version = 0

  line(): { client: KubeClient; state: 'up' | 'down' | 'silent' } {
    const line = { client: undefined as unknown as KubeClient, state: 'up' as 'up' | 'down' | 'silent' }
    const over = async <T>(work: () => T): Promise<T> => {
      if (line.state === 'down')
        throw new ApiError({ status: 0, reason: 'ConnectionFailed', message: 'down' })
      if (line.state === 'silent') return new Promise(() => undefined)
      return work()
    }
    line.client = {
      get: () => over(() => structuredClone(this.lease)),
      create: (_type: unknown, lease: Lease) => over(() => this.#put(lease, undefined)),
      replace: (_type: unknown, lease: Lease) => over(() => this.#put(lease, lease.metadata.resourceVersion)),
      withTimeout: () => line.client,
    } as unknown as KubeClient
    return line
  }

  #put(lease: Lease, version: string | undefined): Lease {
    if (this.lease?.metadata.resourceVersion !== version) {
      throw new ApiError({ status: 409, reason: 'Conflict', message: 'changed' })
    }
    this.#version += 1
    this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#version) } }
    return this.lease
  }
}

interface Process {
  election: LeaderElection
  line: { state: 'up' | 'down' | 'silent' }
  log: string[]
  leadership: () => Leadership
}

function aProcess(server: LeaseServer, clock: ManualClock, identity: string): Process {
  const { random, log: logger, metrics } = createHarness(clock)
  const line = server.line()
  const log: string[] = []
  let held: Leadership | undefined
  const election = startLeaderElection({
    client: line.client,
    lease: REF,
    identity,
    clock,
    random,
    log: logger,
    metrics,
    onStarted: (leadership) => {
      held = leadership
      log.push('started')
    },
    onLost: (reason) => log.push(`lost: ${reason} (aborted: ${String(held?.signal.aborted)})`),
  })
  const leadership = (): Leadership => {
    if (!held) throw new Error('never led')
    return held
  }
  return { election, line, log, leadership }
}

describe('leader election', () => {
  it('takes a lease that nobody has, and keeps it', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await clock.advance(60_000)
    expect(a.election.isLeader).toBe(true)
    expect(a.log).toEqual(['started'])
    expect(server.lease?.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:01:00.000000Z',
      leaseTransitions: 0,
    })
    expect(() => {
      a.leadership().assertHeld()
    }).not.toThrow()
  })

  it('stands by while another renews', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    aProcess(server, clock, 'a')
    await settle()
    const b = aProcess(server, clock, 'b')
    await clock.advance(120_000)
    expect([b.election.isLeader, b.log]).toEqual([false, []])
  })

  it('ends by its own clock when the API server is gone, before anybody can take over', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    const b = aProcess(server, clock, 'b')
    a.line.state = 'down'
    await clock.advance(9_999)
    expect(a.election.isLeader).toBe(true)
    await clock.advance(1)
    expect(a.log).toEqual(['started', 'lost: the lease could not be renewed for 10000 ms (aborted: true)'])
    expect(() => {
      a.leadership().assertHeld()
    }).toThrow(/write refused/)
    await clock.advance(5_000)
    expect(b.election.isLeader).toBe(false)
    await clock.advance(5_000)
    expect(b.election.isLeader).toBe(true)
    expect(server.lease?.spec?.leaseTransitions).toBe(1)
  })

  it('ends in time when the API server is silent', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    a.line.state = 'silent'
    await clock.advance(10_000)
    expect(a.log).toHaveLength(2)
    expect(a.election.isLeader).toBe(false)
  })

  it('counts from the moment a renewal was sent, not from its answer', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const slow = server.line()
    const { client } = slow
    const get: KubeClient['get'] = async (type, ref) => {
      const found = await client.get(type, ref)
      await new Promise<void>((resolve) => clock.after(3_000, resolve))
      return found
    }
    const late: KubeClient = { ...client, get, withTimeout: () => late }
    const { random, log, metrics } = createHarness(clock)
    const lostAt: number[] = []
    const onLost = (): void => {
      lostAt.push(clock.monotonic())
    }
    const options = { client: late, lease: REF, identity: 'a', clock, random, log, metrics }
    startLeaderElection({ ...options, onStarted: () => undefined, onLost })
    await clock.advance(3_000)
    slow.state = 'down'
    await clock.advance(20_000)
    expect(lostAt).toEqual([10_000])
  })

  it('goes on through a short outage', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    a.line.state = 'down'
    await clock.advance(7_000)
    a.line.state = 'up'
    await clock.advance(30_000)
    expect(a.log).toEqual(['started'])
  })

  it('notices at its next write that it was suspended past its lease', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    clock.suspend(11_000)
    expect(() => {
      a.leadership().assertHeld()
    }).toThrow(/suspended/)
    expect(a.log[1]).toMatch(/^lost: .*suspended/)
  })

  it('notices it even when the monotonic clock stood still meanwhile', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    clock.setWall(clock.now() + 11_000)
    expect(() => {
      a.leadership().assertHeld()
    }).toThrow(/suspended/)
  })

  it('does not trust the wall clock of the other holder', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const line = server.line()
    const metadata = { name: REF.name, namespace: REF.namespace }
    const longAgo = '1999-01-01T00:00:00.000000Z'
    const spec = { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime: longAgo }
    await line.client.create(undefined as never, { apiVersion: 'x', kind: 'Lease', metadata, spec } as never)
    const b = aProcess(server, clock, 'b')
    await clock.advance(14_000)
    expect(b.election.isLeader).toBe(false)
    await clock.advance(6_000)
    expect(b.election.isLeader).toBe(true)
  })

  it('ends when somebody else took the lease', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    const current = server.lease
    const spec = { ...current?.spec, holderIdentity: 'thief' }
    await server.line().client.replace(undefined as never, { ...current, spec } as never)
    await clock.advance(2_000)
    expect(a.log[1]).toBe('lost: the lease is held by thief (aborted: true)')
  })

  it('gives the lease back when stopped, so that the next takes it at once', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const a = aProcess(server, clock, 'a')
    await settle()
    const b = aProcess(server, clock, 'b')
    await settle()
    await a.election.stop()
    expect(a.leadership().signal.aborted).toBe(true)
    expect(a.log).toEqual(['started'])
    await clock.advance(4_000)
    expect(b.election.isLeader).toBe(true)
  })

  it('leaves the lease alone when stopped as a candidate', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    aProcess(server, clock, 'a')
    await settle()
    const b = aProcess(server, clock, 'b')
    await settle()
    await b.election.stop()
    expect(server.lease?.spec?.holderIdentity).toBe('a')
  })

  it('never has two leaders, whichever lines fail', async () => {
    const server = new LeaseServer()
    const clock = new ManualClock()
    const processes = ['a', 'b', 'c'].map((identity) => aProcess(server, clock, identity))
    let seed = 7
    for (let tick = 0; tick < 600; tick += 1) {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      const { line } = processes[seed % 3]!
      line.state = (['up', 'up', 'down', 'silent'] as const)[(seed >> 8) % 4]!
      await clock.advance(500)
      expect(processes.filter(({ election }) => election.isLeader).length).toBeLessThanOrEqual(1)
    }
    const led = processes.filter(({ log }) => log.includes('started'))
    expect(led.length).toBeGreaterThan(1)
  })

  it('refuses durations that leave no margin', () => {
    const { clock, random, log, metrics } = createHarness(new ManualClock())
    const common = {
      client: new LeaseServer().line().client,
      lease: REF,
      identity: 'a',
      clock,
      random,
      log,
      metrics,
    }
    const handlers = { onStarted: () => undefined, onLost: () => undefined }
    expect(() => startLeaderElection({ ...common, ...handlers, renewDeadlineMs: 15_000 })).toThrow(/expected/)
  })
})
