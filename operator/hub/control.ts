// The operator's calls. Every call is idempotent, and the watch only names what changed: the operator reads the state
// again, so a change that is missed or told twice does no harm.
import type { ServerWritableStream } from '@grpc/grpc-js'
import {
  Change_Kind,
  type CampaignState,
  type Change,
  type ControlServer,
  type PublishRequest,
  type WatchRequest,
} from '#federation/wire/generated/tributary.ts'
import type { Changes } from './changes.ts'
import { TierError } from '#federation/tier/serving/errors.ts'
import {
  authorizationOf,
  endWithError,
  isCancelled,
  logUnexpected,
  unary,
  type CallContext,
} from '#federation/tier/serving/grpc.ts'
import { requireUser } from '#federation/tier/serving/identity.ts'
import type { HubMetrics } from '#federation/tier/serving/metrics.ts'
import { toModelVersion, unknownModel, type Model } from './model.ts'
import type { Models, Publication } from './models.ts'
import type { ReviewedIdentity } from '#federation/tier/serving/identity.ts'
import { checkCampaignPlan, checkModelPlan } from '#federation/tier/plans.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import type { Campaigns } from '#federation/tier/rounds/campaigns.ts'
import { campaignState, meanMetrics, unknownCampaign } from '#federation/tier/rounds/report.ts'

export interface ControlContext extends CallContext {
  readonly models: Models
  readonly campaigns: Campaigns
  readonly changes: Changes
  readonly metrics: HubMetrics
  readonly operatorUsername: string
}

export function controlService(context: ControlContext): ControlServer {
  const { models, campaigns } = context
  const forOperator = <Request, Response>(handler: (request: Request) => Promise<Response>) =>
    unary<Request, Response>(context, async (request, identity: ReviewedIdentity) => {
      requireUser(identity, context.operatorUsername)
      return handler(request)
    })
  const stateOf = (campaign: Campaign): CampaignState =>
    campaignState(campaign, models.get(campaign.plan.modelUid)?.newestOf(campaign.uid))
  return {
    applyModel: forOperator(async (plan) => (await models.apply(checkModelPlan(plan))).state()),
    getModel: forOperator(async ({ uid }) => Promise.resolve(models.get(uid)?.state() ?? unknownModel(uid))),
    deleteModel: forOperator(async ({ uid }) => {
      await models.delete(uid)
      return {}
    }),
    applyCampaign: forOperator(async (plan) => stateOf(await campaigns.apply(checkCampaignPlan(plan)))),
    getCampaign: forOperator(async ({ uid }) => {
      const campaign = campaigns.get(uid)
      return Promise.resolve(campaign ? stateOf(campaign) : unknownCampaign(uid))
    }),
    deleteCampaign: forOperator(async ({ uid }) => {
      await campaigns.delete(uid)
      return {}
    }),
    publishVersion: forOperator(async (request) =>
      toModelVersion(await models.publish(request.modelUid, publicationOf(campaigns, request))),
    ),
    watch: (call) => {
      watch(context, call).catch((error: unknown) => {
        logUnexpected(context.logger, error, call.getPath())
        endWithError(call, error)
      })
    },
  }
}

async function watch(
  context: ControlContext,
  call: ServerWritableStream<WatchRequest, Change>,
): Promise<void> {
  requireUser(await context.identities.identify(authorizationOf(call.metadata)), context.operatorUsername)
  if (isCancelled(call)) return
  const stop = context.changes.subscribe((changes) => {
    for (const change of changes) call.write(change)
  })
  context.metrics.streams.inc({ service: 'Control' })
  call.once('close', () => {
    stop()
    context.metrics.streams.dec({ service: 'Control' })
  })
  for (const model of context.models.all()) call.write(changeOfModel(model))
  for (const campaign of context.campaigns.all()) call.write(changeOfCampaign(campaign))
}

export function changeOfModel({ plan: { namespace, name, uid } }: Model): Change {
  return { kind: Change_Kind.MODEL, namespace, name, uid }
}

export function changeOfCampaign({ plan: { namespace, name, uid } }: Campaign): Change {
  return { kind: Change_Kind.CAMPAIGN, namespace, name, uid }
}

function publicationOf(campaigns: Campaigns, request: PublishRequest): Publication {
  const campaign = campaigns.get(request.campaign)
  if (!campaign?.start)
    throw new TierError('missing', 'CampaignUnknown', `campaign ${request.campaign} has not started`)
  if (campaign.plan.modelUid !== request.modelUid) {
    const { modelUid } = campaign.plan
    throw new TierError(
      'invalid',
      'OtherModel',
      `campaign ${request.campaign} trains model ${modelUid}, not ${request.modelUid}`,
    )
  }
  const round = campaign.rounds.get(request.round)
  if (!round?.closed || !round.result || !round.commit) {
    throw new TierError(
      'conflict',
      'RoundNotDone',
      `round ${request.round} of campaign ${request.campaign} is not done`,
    )
  }
  return {
    campaign: request.campaign,
    round: request.round,
    baseDigest: campaign.start.baseDigest,
    compilationDigest: campaign.start.graphs.manifest.digest,
    parametersDigest: round.result.parameters.digest,
    metrics: meanMetrics([...round.evaluations.values()]),
    participants: round.commit.updates.length,
    samples: round.commit.updates.reduce((sum, update) => sum + update.samples, 0),
  }
}
