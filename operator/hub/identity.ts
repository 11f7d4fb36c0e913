// Who is calling: the bearer token, asked of TokenReview, and remembered for at most a minute. What the caller may do
// follows from the identity alone; no field of a message or path is believed without it.
import { createHash } from 'node:crypto'
import { HubError } from './errors.ts'
import type { Clock, ReviewedIdentity, TokenReviewer } from './options.ts'
import type { Campaign } from './rounds/campaign.ts'

const GOOD_FOR_MS = 60_000
const BAD_FOR_MS = 10_000
const MAXIMUM_REMEMBERED = 20_000
const MAXIMUM_TOKEN_BYTES = 16 * 1024
const REVIEW_TIMEOUT_MS = 10_000

interface Remembered {
  readonly identity: Promise<ReviewedIdentity | undefined>
  untilMs: number
}

export class Identities {
  readonly #review: TokenReviewer
  readonly #clock: Clock
  readonly #remembered = new Map<string, Remembered>()

  constructor(review: TokenReviewer, clock: Clock) {
    this.#review = review
    this.#clock = clock
  }

  /** @param authorization the header's value */
  async identify(authorization: string | undefined): Promise<ReviewedIdentity> {
    const token = /^Bearer ([!-~]+)$/i.exec(authorization ?? '')?.[1]
    if (!token || token.length > MAXIMUM_TOKEN_BYTES) {
      throw new HubError(
        'unauthenticated',
        'TokenMissing',
        'send authorization: Bearer <service-account token>',
      )
    }
    const identity = await this.#lookUp(token)
    if (identity) return identity
    throw new HubError(
      'unauthenticated',
      'TokenInvalid',
      'the token is not valid for the audience tributary-hub',
    )
  }

  #lookUp(token: string): Promise<ReviewedIdentity | undefined> {
    // Tokens are secrets: only their hashes stay in memory.
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#remembered.get(key)
    if (known && known.untilMs > this.#clock.now()) return known.identity
    const identity = this.#reviewInTime(token)
    const entry: Remembered = { identity, untilMs: this.#clock.now() + GOOD_FOR_MS }
    this.#remember(key, entry)
    identity.then(
      (found) => {
        if (!found) entry.untilMs = this.#clock.now() + BAD_FOR_MS
      },
      () => this.#remembered.delete(key),
    )
    return identity
  }

  async #reviewInTime(token: string): Promise<ReviewedIdentity | undefined> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('TokenReview took too long')), REVIEW_TIMEOUT_MS)
    })
    try {
      return await Promise.race([this.#review(token), timeout])
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new HubError('unavailable', 'TokenReviewFailed', `tokens cannot be checked now: ${why}`)
    } finally {
      clearTimeout(timer)
    }
  }

  #remember(key: string, entry: Remembered): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, entry)
    if (this.#remembered.size <= MAXIMUM_REMEMBERED) return
    const oldest = this.#remembered.keys().next().value
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }
}

/** The node that this pod may speak for in the campaign. */
export function requireParticipant(identity: ReviewedIdentity, campaign: Campaign): string {
  const { namespace, podName, nodeName } = identity
  if (namespace === campaign.plan.namespace && nodeName !== undefined && podName !== undefined) {
    if (campaign.podOf(nodeName) === podName) return nodeName
  }
  const who = `pod ${namespace}/${podName ?? '(no pod)'} on node ${nodeName ?? '(none)'}`
  throw new HubError('forbidden', 'NotThisParticipant', `${who} takes no part in campaign ${campaign.uid}`)
}

/** The user name must be the one expected for this part of the protocol. */
export function requireUser(identity: ReviewedIdentity, expected: string): void {
  if (identity.username === expected) return
  throw new HubError('forbidden', 'NotAllowed', `${identity.username} may not call this; ${expected} may`)
}

export function requireNode(identity: ReviewedIdentity): string {
  if (identity.nodeName !== undefined) return identity.nodeName
  throw new HubError('forbidden', 'NodeUnknown', `the token of ${identity.username} names no node`)
}
