// What a request wants to make count: a node's update, or the sum of a tier's. Both arrive the same way; they differ in what is
// said of them, in what is refused, and in whose updates count afterwards.
import type { IncomingHttpHeaders } from 'node:http'
import { acceptUpdate } from '../rounds/acceptance.ts'
import { acceptIntermediate } from '../rounds/intermediate.ts'
import { alreadyAccepted, factsOf, refuseUnfit, refuseUnfitSum } from './upload-refusals.ts'
import { readAnnouncement, readTransfer, type Transfer } from './upload-headers.ts'
import type { Offered, Target } from './upload-target.ts'

export interface Candidate {
  readonly announced: Transfer
  /** Throws what can be said before a byte of the body is read. */
  refuseUnfit(): void
  /** Why the whole update, which lies at this path, cannot be merged. */
  problemWith(path: string): Promise<string | undefined>
  /** Makes it count: to be called once its bytes are on the disk. Throws when other bytes have come to count meanwhile. */
  accept(acceptedMs: number): Promise<void>
}

export function candidateOf(target: Target, headers: IncomingHttpHeaders): Candidate {
  return target.offered ? sumOf(target, target.offered, headers) : updateOf(target, headers)
}

function updateOf(target: Target, headers: IncomingHttpHeaders): Candidate {
  const { campaign, round, participant } = target
  const announced = readAnnouncement(headers)
  const { digest, length: size } = announced
  return {
    announced,
    refuseUnfit: () => refuseUnfit(target, announced),
    problemWith: async (path) => campaign.codec.problemWith(path),
    accept: async (acceptedMs) => {
      const update = { participant, digest, size, ...factsOf(announced), acceptedMs }
      if (!(await acceptUpdate(campaign, round, update))) await alreadyAccepted(target, digest, acceptedMs)
    },
  }
}

function sumOf(target: Target, offered: Offered, headers: IncomingHttpHeaders): Candidate {
  const announced = readTransfer(headers)
  const { digest, length: size } = announced
  return {
    announced,
    refuseUnfit: () => refuseUnfitSum(target, offered, announced),
    // Its values were looked at while they arrived.
    problemWith: async () => Promise.resolve(undefined),
    accept: async (acceptedMs) => {
      const members = [...offered.members]
      return acceptIntermediate(target.campaign, target.round, {
        ...offered,
        members,
        digest,
        size,
        acceptedMs,
      })
    },
  }
}
