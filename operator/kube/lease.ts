// Leader election on a coordination.k8s.io/v1 Lease.
// Guarantees: leadership ends by this process's own clocks `renewDeadline` after the last renewal was sent, whether
// or not the API server can be reached, and nobody else takes over before `leaseDuration`; in between lies the time
// for a write under way to land. The other holder's timestamps are never compared with our clock: its lease counts
// as expired when we have seen it unchanged for its duration. A process that was suspended notices at its next
// write: the guard compares clocks then, not only when a timer fires.
// Assumes: an identity is never used by two processes.

import type { KubeClient, WriteGuard } from './api.ts'
import { sleep } from './clock.ts'
import type { Clock } from './clock.ts'
import { ApiError, isConflict, messageOf } from './errors.ts'
import { acquired, holderOf, isHeldBy, released, renewed } from './lease-record.ts'
import type { KubeMetrics } from './metrics.ts'
import { leases } from './resources.ts'
import type { Lease } from './resources.ts'
import type { Logger, ObjectRef, OwnerReference, Random } from './types.ts'

/** Held from onStarted until `signal` aborts. `client.guardedBy(leadership)` refuses writes after that. */
export type Leadership = WriteGuard

export interface LeaderElectionOptions {
  client: KubeClient
  lease: ObjectRef
  /** Owner of the lease, for the garbage collector. */
  ownerReferences?: OwnerReference[] | undefined
  /** Unique to this process. */
  identity: string
  /** Called once, when the lease is held. */
  onStarted: (leadership: Leadership) => void
  /** Called at most once, after the signal aborted: the process should end. Not called after `stop`. */
  onLost: (reason: string) => void
  clock: Clock
  random: Random
  log: Logger
  metrics: KubeMetrics
  /** 15 s, 10 s and 2 s unless told. */
  leaseDurationMs?: number | undefined
  renewDeadlineMs?: number | undefined
  retryPeriodMs?: number | undefined
}

export interface LeaderElection {
  readonly isLeader: boolean
  /** Aborts the leadership, then gives the lease back. Stop the controllers first. */
  stop(): Promise<void>
}

export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const election = new Election(options)
  return {
    get isLeader() {
      return election.isLeader
    },
    stop: () => election.stop(),
  }
}

/** A moment on both clocks. */
interface Moment {
  wall: number
  monotonic: number
}

class Election {
  readonly #options: LeaderElectionOptions
  readonly #client: KubeClient
  readonly #durationMs: number
  readonly #deadlineMs: number
  readonly #retryMs: number
  /** Aborts at loss or stop: nothing is written for this leadership any more. */
  readonly #leadership = new AbortController()
  readonly #stopping = new AbortController()
  readonly #loop: Promise<void>
  #role: 'candidate' | 'leader' | 'ended' = 'candidate'
  #renewedAt: Moment = { wall: 0, monotonic: 0 }
  #cancelDeadline: () => void = () => undefined
  /** The foreign lease as last seen, and when we first saw it so. */
  #foreign: { version: string; since: number } | undefined

  constructor(options: LeaderElectionOptions) {
    this.#options = options
    this.#durationMs = options.leaseDurationMs ?? 15_000
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000
    this.#retryMs = options.retryPeriodMs ?? 2_000
    if (this.#deadlineMs >= this.#durationMs || this.#retryMs >= this.#deadlineMs) {
      throw new Error('lease: expected retryPeriodMs < renewDeadlineMs < leaseDurationMs')
    }
    // An attempt is two requests; one attempt that hangs must leave time for another within the deadline.
    this.#client = options.client.withTimeout(this.#deadlineMs / 4)
    this.#loop = this.#run()
  }

  get isLeader(): boolean {
    return this.#role === 'leader' && !this.#isOverdue()
  }

  async stop(): Promise<void> {
    this.#end('election stopped')
    this.#stopping.abort()
    await this.#loop
    await this.#release()
  }

  async #run(): Promise<void> {
    while (this.#role !== 'ended') {
      await this.#attempt()
      const jitter = this.#role === 'candidate' ? 1 + this.#options.random() : 1
      await sleep(this.#options.clock, this.#retryMs * jitter, this.#stopping.signal)
    }
  }

  async #attempt(): Promise<void> {
    const sentAt = this.#moment()
    try {
      if (await this.#acquireOrRenew()) this.#held(sentAt)
    } catch (error) {
      const fields = { lease: this.#options.lease.name, role: this.#role, message: messageOf(error) }
      if (isConflict(error)) this.#options.log.debug(fields, 'lease changed meanwhile')
      else this.#options.log.warn(fields, 'lease could not be read or written')
    }
  }

  async #acquireOrRenew(): Promise<boolean> {
    const { lease: ref, identity, clock, ownerReferences } = this.#options
    const current = await this.#client.get(leases, ref)
    if (this.#role === 'ended') return false
    const now = { identity, nowMs: clock.now(), durationMs: this.#durationMs }
    if (!current) {
      await this.#client.create(leases, acquired(ref, undefined, { ...now, ownerReferences }))
      return true
    }
    if (isHeldBy(current, identity)) {
      await this.#client.replace(leases, renewed(current, now))
      return true
    }
    if (this.#role === 'leader') {
      this.#lose(`the lease is held by ${holderOf(current) || 'nobody'}`)
      return false
    }
    if (!this.#isFree(current)) return false
    await this.#client.replace(leases, acquired(ref, current, now))
    return true
  }

  #isFree(lease: Lease): boolean {
    if (holderOf(lease) === '') return true
    const version = lease.metadata.resourceVersion ?? ''
    if (this.#foreign?.version !== version) {
      this.#foreign = { version, since: this.#options.clock.monotonic() }
      return false
    }
    const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000 || this.#durationMs
    return this.#options.clock.monotonic() - this.#foreign.since > durationMs
  }

  #held(sentAt: Moment): void {
    if (this.#role === 'ended') return
    this.#renewedAt = sentAt
    this.#armDeadline()
    if (this.#role === 'leader') return
    this.#role = 'leader'
    this.#options.metrics.leader.set(1)
    this.#options.log.info({ lease: this.#options.lease.name, identity: this.#options.identity }, 'leading')
    this.#start()
  }

  #start(): void {
    const { signal } = this.#leadership
    const assertHeld = (): void => {
      this.#assertHeld()
    }
    try {
      this.#options.onStarted({ signal, assertHeld })
    } catch (error) {
      this.#lose(`the leader could not start: ${messageOf(error)}`)
    }
  }

  #armDeadline(): void {
    this.#cancelDeadline()
    const remainingMs = this.#deadlineMs - this.#sinceRenewal()
    this.#cancelDeadline = this.#options.clock.after(remainingMs, () => {
      this.#lose(`the lease could not be renewed for ${String(this.#deadlineMs)} ms`)
    })
  }

  #assertHeld(): void {
    if (this.#role === 'leader' && this.#isOverdue()) this.#lose('this process was suspended past its lease')
    this.#leadership.signal.throwIfAborted()
  }

  #isOverdue(): boolean {
    return this.#sinceRenewal() >= this.#deadlineMs
  }

  /** The faster clock decides: the monotonic one may stand still while a machine sleeps. */
  #sinceRenewal(): number {
    const { clock } = this.#options
    return Math.max(clock.now() - this.#renewedAt.wall, clock.monotonic() - this.#renewedAt.monotonic)
  }

  #moment(): Moment {
    return { wall: this.#options.clock.now(), monotonic: this.#options.clock.monotonic() }
  }

  #lose(reason: string): void {
    if (this.#role !== 'leader') return
    this.#end(reason)
    this.#stopping.abort()
    this.#options.log.error({ lease: this.#options.lease.name, reason }, 'leadership lost')
    this.#options.onLost(reason)
  }

  #end(reason: string): void {
    this.#role = 'ended'
    this.#cancelDeadline()
    this.#options.metrics.leader.set(0)
    if (!this.#leadership.signal.aborted) this.#leadership.abort(notLeader(reason))
  }

  /** A courtesy to the successor, who would otherwise wait for the lease to expire. */
  async #release(): Promise<void> {
    const { lease: ref, identity, log, clock } = this.#options
    try {
      const current = await this.#client.get(leases, ref)
      if (current && isHeldBy(current, identity)) {
        await this.#client.replace(leases, released(current, clock.now()))
      }
    } catch (error) {
      log.warn({ lease: ref.name, message: messageOf(error) }, 'lease could not be given back')
    }
  }
}

function notLeader(reason: string): ApiError {
  return new ApiError({ status: 0, reason: 'NotLeader', message: `write refused: ${reason}` })
}
