// Who may read which bytes at an edge controller: training pods and controllers below what the campaign names, agents anything else
// that the parent lets the controller have, which are published models.
import { requireParticipant, type ReviewedIdentity } from '#federation/tier/serving/identity.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { TierError } from '#federation/tier/serving/errors.ts'
import type { TierPlan } from '#federation/wire/generated/tributary.ts'

export interface Known {
  readonly plan: TierPlan | undefined
  readonly campaign: Campaign | undefined
}

/** Throws when the blob looks to this caller as if it were not there. */
export function mayRead(identity: ReviewedIdentity, digest: string, { plan, campaign }: Known): void {
  const named = campaign?.referencedBlobs().includes(digest) ?? false
  // The model that the campaign started from is a published one.
  const isModel = !named || digest === campaign?.start?.baseDigest
  if (plan && plan.agentUsername !== '' && identity.username === plan.agentUsername && isModel) return
  if (campaign && named && takesPart(identity, campaign)) return
  throw new TierError('missing', 'UnknownBlob', `there is no blob ${digest}`)
}

function takesPart(identity: ReviewedIdentity, campaign: Campaign): boolean {
  const { namespace, podName } = identity
  const isBelow = campaign.plan.tiers.some(({ pod }) => pod === podName)
  if (namespace === campaign.plan.namespace && podName !== undefined && isBelow) return true
  try {
    requireParticipant(identity, campaign)
    return true
  } catch (error) {
    if (error instanceof TierError) return false
    throw error
  }
}

/** What the pods of the tier will ask for. */
export function wantedBlobs({ start, basis, merged }: TierPlan): { digest: string; size: number }[] {
  const graphs = start?.graphs
  const all = [
    ...[graphs?.manifest, graphs?.trainingStep, graphs?.evaluation],
    ...[graphs?.personalManifest, graphs?.personalTrainingStep],
    ...[basis?.parameters, basis?.delta?.blob, merged?.parameters, merged?.delta?.blob],
  ]
  return all.filter((blob) => blob !== undefined)
}
