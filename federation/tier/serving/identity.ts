// Who is calling: the bearer token, asked of TokenReview or checked against the cluster's keys, and remembered for at most a minute
// and never beyond its end. What the caller may do follows from the identity alone; no field of a message or path is believed without it.
import { createHash } from 'node:crypto'
import { TierError } from './errors.ts'
import { Limiter, type Limits } from './limiter.ts'
import type { Clock } from '../clock.ts'
import type { Campaign } from '../rounds/campaign.ts'
import { fenced } from '../rounds/intermediate.ts'
import type { CheckedTierNode } from '../tiers/tier-nodes.ts'
import { treeOf } from '../tiers/tree.ts'

/** Who a token for our audience was issued to. */
export interface ReviewedIdentity {
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly username: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly podName: string | undefined
  readonly podUid: string | undefined
  readonly nodeName: string | undefined
  /** When the token ends; absent where its reviewer looks after that. */
  readonly expiresMs?: number
}

/** Resolves to undefined when the token is not valid; rejects when that cannot be found out now. */
export type TokenReviewer = (token: string) => Promise<ReviewedIdentity | undefined>

const GOOD_FOR_MS = 60_000
const BAD_FOR_MS = 10_000
const MAXIMUM_GOOD = 20_000
const MAXIMUM_BAD = 5_000
const MAXIMUM_TOKEN_BYTES = 16 * 1024
const REVIEW_TIMEOUT_MS = 10_000
const MAXIMUM_REVIEWS: Limits = { running: 32, waiting: 1_000, waitMs: 10_000 }

interface Remembered {
  readonly identity: ReviewedIdentity | undefined
  readonly untilMs: number
}

export class Identities {
  readonly #review: TokenReviewer
  readonly #clock: Clock
  readonly #limiter: Limiter
  // Apart, so that a flood of invented tokens pushes out nobody who is known.
  readonly #good = new Map<string, Remembered>()
  readonly #bad = new Map<string, Remembered>()
  readonly #asking = new Map<string, Promise<ReviewedIdentity | undefined>>()

  constructor(review: TokenReviewer, clock: Clock, limits: Limits = MAXIMUM_REVIEWS) {
    this.#review = review
    this.#clock = clock
    this.#limiter = new Limiter(limits)
  }

  /** @param authorization the header's value */
  async identify(authorization: string | undefined): Promise<ReviewedIdentity> {
    const token = /^Bearer ([!-~]+)$/i.exec(authorization ?? '')?.[1]
    if (!token || token.length > MAXIMUM_TOKEN_BYTES) {
      throw new TierError(
        'unauthenticated',
        'TokenMissing',
        'send authorization: Bearer <service-account token>',
      )
    }
    const identity = await this.#lookUp(token)
    if (identity) return identity
    throw new TierError(
      'unauthenticated',
      'TokenInvalid',
      'the token is not valid for the audience tributary-hub',
    )
  }

  async #lookUp(token: string): Promise<ReviewedIdentity | undefined> {
    // Tokens are secrets: only their hashes stay in memory.
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#good.get(key) ?? this.#bad.get(key)
    if (known && known.untilMs > this.#clock.now()) return known.identity
    const asking = this.#asking.get(key) ?? this.#ask(key, token)
    this.#asking.set(key, asking)
    return asking
  }

  async #ask(key: string, token: string): Promise<ReviewedIdentity | undefined> {
    try {
      const identity = await this.#reviewInTime(token)
      this.#remember(key, identity)
      return identity
    } finally {
      this.#asking.delete(key)
    }
  }

  async #reviewInTime(token: string): Promise<ReviewedIdentity | undefined> {
    try {
      return await this.#limiter.run(async () => this.#reviewOnce(token))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new TierError('unavailable', 'TokenReviewFailed', `tokens cannot be checked now: ${why}`)
    }
  }

  async #reviewOnce(token: string): Promise<ReviewedIdentity | undefined> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('TokenReview took too long')), REVIEW_TIMEOUT_MS)
    })
    try {
      return await Promise.race([this.#review(token), timeout])
    } finally {
      clearTimeout(timer)
    }
  }

  #remember(key: string, identity: ReviewedIdentity | undefined): void {
    this.#good.delete(key)
    this.#bad.delete(key)
    const memory = identity ? this.#good : this.#bad
    const untilMs = this.#clock.now() + (identity ? GOOD_FOR_MS : BAD_FOR_MS)
    memory.set(key, { identity, untilMs: Math.min(untilMs, identity?.expiresMs ?? untilMs) })
    if (memory.size <= (identity ? MAXIMUM_GOOD : MAXIMUM_BAD)) return
    const oldest = memory.keys().next().value
    if (oldest !== undefined) memory.delete(oldest)
  }
}

/** The node that this pod may speak for in the campaign. */
export function requireParticipant(identity: ReviewedIdentity, campaign: Campaign): string {
  const { namespace, podName, nodeName } = identity
  if (namespace === campaign.plan.namespace && nodeName !== undefined && podName !== undefined) {
    if (campaign.podOf(nodeName) === podName) return nodeName
  }
  const who = `pod ${namespace}/${podName ?? '(no pod)'} on node ${nodeName ?? '(none)'}`
  throw new TierError('forbidden', 'NotThisParticipant', `${who} takes no part in campaign ${campaign.uid}`)
}

/** The tier that this pod speaks for: none but the one that the plan names does. */
export function requireController(
  identity: ReviewedIdentity,
  campaign: Campaign,
  name: string,
): CheckedTierNode {
  const { namespace, podName } = identity
  const who = `pod ${namespace}/${podName ?? '(no pod)'}`
  const tier = treeOf(campaign.plan).tier(name)
  if (namespace === campaign.plan.namespace && podName !== undefined) {
    if (tier?.pod === podName) return tier
    if (campaign.controllers.isFenced(name, podName)) throw fenced(name, podName)
    // Pods are made before plans that name them arrive.
    const detail = `the plan of campaign ${campaign.uid} does not name ${who} for a tier ${name.slice(0, 64)}`
    throw new TierError('unavailable', 'TierUnknown', detail)
  }
  const detail = `${who} speaks for no tier of campaign ${campaign.uid}`
  throw new TierError('forbidden', 'NotThisController', detail)
}

/** Whether this is the present controller of some tier of the campaign. */
export function speaksForTier({ namespace, podName }: ReviewedIdentity, { plan }: Campaign): boolean {
  return namespace === plan.namespace && plan.tiers.some(({ pod }) => pod === podName)
}

/** The user name must be the one expected for this part of the protocol. */
export function requireUser(identity: ReviewedIdentity, expected: string): void {
  if (identity.username === expected) return
  throw new TierError('forbidden', 'NotAllowed', `${identity.username} may not call this; ${expected} may`)
}

export function requireNode(identity: ReviewedIdentity): string {
  if (identity.nodeName !== undefined) return identity.nodeName
  throw new TierError('forbidden', 'NodeUnknown', `the token of ${identity.username} names no node`)
}
