// A member list as it comes from an edge controller, held to the bounds that hold for every node's own update.
import { isDigest } from '../../wire/digest.ts'
import type { IntermediateOffer, Member } from '../../wire/generated/tributary.ts'
import { TierError } from '../serving/errors.ts'
import { MAXIMUM_METRIC, MAXIMUM_SAMPLES, MAXIMUM_STEPS } from '../updates/bounds.ts'
import type { OfferRecord } from '../store/records.ts'

const MOST_MEMBERS = 20_000

/** Throws an error that names what is wrong with the first wrong member. */
export function checkOffer({ tier, members }: IntermediateOffer): OfferRecord {
  if (members.length === 0 || members.length > MOST_MEMBERS) {
    throw invalid(`it has ${members.length} members; expected 1 to ${MOST_MEMBERS}`)
  }
  for (const [index, member] of members.entries()) {
    const problem = problemWith(member, members[index - 1])
    if (problem !== undefined) throw invalid(`member "${member.node.slice(0, 64)}": ${problem}`)
  }
  const list = members.map(({ node, digest, samples, steps, loss }) => ({
    node,
    digest,
    samples,
    steps,
    loss,
  }))
  return { tier, members: list }
}

function problemWith(
  { node, digest, samples, steps, loss }: Member,
  before: Member | undefined,
): string | undefined {
  if (before && before.node >= node) return `comes after ${before.node}; members are sorted, each once`
  if (!isDigest(digest)) return `digest is "${digest.slice(0, 100)}"; expected sha256:<64 hex>`
  const count = (value: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= 1 && value <= most
  if (!count(samples, MAXIMUM_SAMPLES)) return `samples is ${samples}; expected 1 to ${MAXIMUM_SAMPLES}`
  if (!count(steps, MAXIMUM_STEPS)) return `steps is ${steps}; expected 1 to ${MAXIMUM_STEPS}`
  if (Math.abs(loss) <= MAXIMUM_METRIC) return undefined
  return `loss is ${loss}; expected a finite number of at most ±${MAXIMUM_METRIC}`
}

function invalid(detail: string): TierError {
  return new TierError('invalid', 'OfferInvalid', `the offer cannot be taken: ${detail}`)
}
