// The edge controllers' calls, as their parent answers them: the hub, or a controller with tiers below it. Only the pod that the
// plan names speaks for a tier, and it is looked at again with every message: a controller that was replaced says nothing any more.
import type { ServerDuplexStream } from '@grpc/grpc-js'
import type {
  AggregationServer,
  AggregatorHello,
  AggregatorMessage,
  IntermediateOffer,
  OfferAnswer,
  TierAssignment,
} from '../../wire/generated/tributary.ts'
import { TierError } from '../serving/errors.ts'
import {
  authorizationOf,
  endWithError,
  isCancelled,
  logUnexpected,
  messagesOf,
  unary,
} from '../serving/grpc.ts'
import { requireController, type ReviewedIdentity } from '../serving/identity.ts'
import { noteDropped } from '../rounds/acceptance.ts'
import type { Campaign } from '../rounds/campaign.ts'
import type { Round } from '../rounds/round.ts'
import type { OfferRecord } from '../store/records.ts'
import { answerOffer } from '../rounds/intermediate.ts'
import { ControllerSession, type AggregationContext } from './controller-session.ts'
import { checkOffer } from './offer.ts'
import { treeOf } from './tree.ts'

type Call = ServerDuplexStream<AggregatorMessage, TierAssignment>

const HELLO_TIMEOUT_MS = 10_000

export function aggregationService(context: AggregationContext): AggregationServer {
  return {
    aggregate: (call) => {
      converse(context, call).catch((error: unknown) => {
        logUnexpected(context.logger, error, call.getPath())
        endWithError(call, error, context.tier)
      })
    },
    offer: unary<IntermediateOffer, OfferAnswer>(context, async (offer, identity) =>
      answer(context, offer, identity),
    ),
  }
}

async function answer(
  context: AggregationContext,
  offer: IntermediateOffer,
  identity: ReviewedIdentity,
): Promise<OfferAnswer> {
  const campaign = campaignOf(context, offer.campaign)
  requireController(identity, campaign, offer.tier)
  const checked = checkOffer(offer)
  const round = campaign.rounds.get(offer.round)
  if (!round) {
    const newest = campaign.current?.number ?? 0
    if (offer.round < newest) {
      throw new TierError('gone', 'RoundClosed', `round ${offer.round} no longer takes updates`)
    }
    const detail = `round ${offer.round} has not been opened; the newest is ${newest}`
    throw new TierError('missing', 'UnknownRound', detail)
  }
  try {
    const { counted, offer: offerDigest } = await answerOffer(campaign, round, checked)
    return { counted, offerDigest }
  } catch (error) {
    if (error instanceof TierError && error.kind === 'gone') await noteLate(campaign, round, checked)
    throw error
  }
}

async function noteLate(campaign: Campaign, round: Round, { tier, members }: OfferRecord): Promise<void> {
  const belongs = treeOf(campaign.plan).members(tier)
  const nodes = members.map(({ node }) => node).filter((node) => belongs.has(node))
  await noteDropped(campaign, round, ...nodes)
}

async function converse(context: AggregationContext, call: Call): Promise<void> {
  const identity = await context.identities.identify(authorizationOf(call.metadata))
  let session: ControllerSession | undefined
  const tooLate = setTimeout(() => {
    const detail = 'the first message must be a hello, within 10 s'
    endWithError(call, new TierError('invalid', 'HelloMissing', detail), context.tier)
  }, HELLO_TIMEOUT_MS)
  call.once('close', () => clearTimeout(tooLate))
  try {
    for await (const message of messagesOf<AggregatorMessage>(call)) {
      clearTimeout(tooLate)
      if (session) {
        await session.receive(message)
        continue
      }
      const hello = helloOf(message)
      const campaign = campaignOf(context, hello.campaign)
      session = await ControllerSession.open({ context, call, identity, campaign }, hello)
    }
  } catch (error) {
    if (!isCancelled(call)) throw error
  } finally {
    clearTimeout(tooLate)
    session?.close()
  }
  call.end()
}

function helloOf({ kind }: AggregatorMessage): AggregatorHello {
  if (kind?.$case === 'hello') return kind.value
  const detail = `the first message must be a hello, not ${kind?.$case ?? 'empty'}`
  throw new TierError('invalid', 'HelloMissing', detail)
}

function campaignOf({ campaigns }: AggregationContext, uid: string): Campaign {
  const campaign = campaigns.get(uid)
  if (campaign) return campaign
  throw new TierError('missing', 'CampaignUnknown', `there is no campaign ${uid.slice(0, 64)}`)
}
