// The training pods' streams. A pod says which campaign it belongs to and is told what to do, at once and whenever it
// changes; what it reports is checked against its identity and the round before it counts.
import type { ServerDuplexStream } from '@grpc/grpc-js'
import type {
  Assignment,
  ParticipantHello,
  ParticipantMessage,
  ParticipationServer,
} from '../wire/generated/tributary.ts'
import { HUB, TierError } from './serving/errors.ts'
import {
  authorizationOf,
  endWithError,
  isCancelled,
  logUnexpected,
  messagesOf,
  type CallContext,
} from './serving/grpc.ts'
import { requireParticipant } from './serving/identity.ts'
import type { HubMetrics } from './serving/metrics.ts'
import type { Clock } from './clock.ts'
import type { ReviewedIdentity } from './serving/identity.ts'
import { isLate, noteDropped } from './rounds/acceptance.ts'
import { assignmentFor } from './rounds/assignment.ts'
import type { Campaign } from './rounds/campaign.ts'
import type { Campaigns } from './rounds/campaigns.ts'
import { recordEvaluation, recordFailure } from './said-by-nodes.ts'

export interface ParticipationContext extends CallContext {
  readonly campaigns: Pick<Campaigns, 'get'>
  readonly clock: Clock
  readonly metrics: HubMetrics
}

type Call = ServerDuplexStream<ParticipantMessage, Assignment>

const HELLO_TIMEOUT_MS = 10_000

export function participationService(context: ParticipationContext): ParticipationServer {
  return {
    participate: (call) => {
      const fail = (error: unknown): void => {
        logUnexpected(context.logger, error, call.getPath())
        endWithError(call, error, context.tier)
      }
      converse(context, call).catch(fail)
    },
  }
}

async function converse(context: ParticipationContext, call: Call): Promise<void> {
  const identity = await context.identities.identify(authorizationOf(call.metadata))
  let session: ParticipantSession | undefined
  const tooLate = setTimeout(() => {
    endWithError(
      call,
      new TierError('invalid', 'HelloMissing', 'the first message must be a hello, within 10 s'),
    )
  }, HELLO_TIMEOUT_MS)
  call.once('close', () => clearTimeout(tooLate))
  try {
    for await (const message of messagesOf<ParticipantMessage>(call)) {
      clearTimeout(tooLate)
      if (session) await session.receive(message)
      else {
        session = ParticipantSession.open(context, call, identity, helloOf(message))
        await session.noteLate()
      }
    }
  } catch (error) {
    if (!isCancelled(call)) throw error
  } finally {
    clearTimeout(tooLate)
    session?.close()
  }
  call.end()
}

function helloOf({ kind }: ParticipantMessage): ParticipantHello {
  if (kind?.$case === 'hello') return kind.value
  throw new TierError(
    'invalid',
    'HelloMissing',
    `the first message must be a hello, not ${kind?.$case ?? 'empty'}`,
  )
}

interface SessionParts {
  readonly context: ParticipationContext
  readonly call: Call
  readonly identity: ReviewedIdentity
  readonly campaign: Campaign
}

class ParticipantSession {
  readonly #context: ParticipationContext
  readonly #call: Call
  readonly #identity: ReviewedIdentity
  readonly #campaign: Campaign
  readonly #node: string
  readonly #broughtRound: number
  readonly #stopObserving: () => void
  #sent = ''
  #closed = false

  static open(
    context: ParticipationContext,
    call: Call,
    identity: ReviewedIdentity,
    hello: ParticipantHello,
  ): ParticipantSession {
    const campaign = context.campaigns.get(hello.campaign)
    if (!campaign) {
      throw new TierError('missing', 'CampaignUnknown', `there is no campaign ${hello.campaign.slice(0, 64)}`)
    }
    return new ParticipantSession({ context, call, identity, campaign }, hello)
  }

  private constructor({ context, call, identity, campaign }: SessionParts, hello: ParticipantHello) {
    this.#context = context
    this.#call = call
    this.#identity = identity
    this.#campaign = campaign
    this.#node = requireParticipant(identity, campaign)
    this.#broughtRound = hello.round
    campaign.training.set(this.#node, hello.round)
    campaign.connected.set(this.#node, this)
    this.#seen()
    context.metrics.streams.inc({ service: 'Participation' })
    this.#stopObserving = campaign.observe(() => this.#send())
    call.once('close', () => this.close())
    campaign.changed()
    this.#send()
  }

  /** What a pod comes back with too late is never sent: it is told here that it will not count. */
  async noteLate(): Promise<void> {
    const round = this.#campaign.rounds.get(this.#broughtRound)
    if (round && isLate(this.#campaign, round, this.#node))
      await noteDropped(this.#campaign, round, this.#node)
  }

  async receive({ kind }: ParticipantMessage): Promise<void> {
    requireParticipant(this.#identity, this.#campaign)
    this.#seen()
    switch (kind?.$case) {
      case 'progress': {
        const { round, steps, totalSteps } = kind.value
        this.#campaign.progress.set(this.#node, { round, steps, totalSteps })
        break
      }
      case 'evaluation':
        return recordEvaluation(this.#campaign, this.#node, kind.value)
      case 'failure':
        return recordFailure(this.#campaign, this.#node, kind.value)
      case 'hello':
        throw new TierError('invalid', 'HelloRepeated', 'a stream says hello once')
      case undefined:
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopObserving()
    this.#context.metrics.streams.dec({ service: 'Participation' })
    // A newer stream of the same pod may have taken this one's place.
    if (this.#campaign.connected.get(this.#node) !== this) return
    this.#campaign.connected.delete(this.#node)
    this.#seen()
    this.#campaign.changed()
  }

  #seen(): void {
    this.#campaign.lastSeenMs.set(this.#node, this.#context.clock.now())
  }

  /** Sends the current assignment unless it is what was sent last. */
  #send(): void {
    if (this.#closed || isCancelled(this.#call)) return
    // A pod that was told that all is over ends by itself.
    if (this.#campaign.signal.aborted && !this.#campaign.plan.finished) {
      endWithError(
        this.#call,
        new TierError(
          'unavailable',
          'CampaignGone',
          `the campaign or ${this.#context.tier ?? HUB} is going away`,
        ),
      )
      return
    }
    try {
      requireParticipant(this.#identity, this.#campaign)
    } catch (error) {
      endWithError(this.#call, error)
      return
    }
    const assignment = assignmentFor(this.#campaign, this.#node)
    const text = JSON.stringify(assignment)
    if (text === this.#sent) return
    this.#sent = text
    const { kind } = assignment
    this.#campaign.training.set(this.#node, kind?.$case === 'train' ? kind.value.round : 0)
    this.#call.write(assignment)
  }
}
