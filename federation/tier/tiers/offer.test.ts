import { describe, expect, it } from 'vitest'
import { IntermediateOffer, type Member } from '#federation/wire/generated/tributary.ts'
import { MAXIMUM_MESSAGE_BYTES } from '#federation/wire/names.ts'
import { offerDigest } from './members.ts'
import { checkOffer } from './offer.ts'

const digest = `sha256:${'0'.repeat(64)}`
const member = (node: string, changes: Partial<Member> = {}): Member => {
  return { node, digest, samples: 3, steps: 2, loss: 0.5, ...changes }
}
const offer = (members: Member[]): IntermediateOffer => ({ campaign: 'c', tier: 'east', round: 1, members })

describe('an offer', () => {
  it.each([
    { members: [], says: 'it has 0 members; expected 1 to 20000' },
    { members: [member('b'), member('a')], says: 'member "a": comes after b; members are sorted, each once' },
    { members: [member('a'), member('a')], says: 'member "a": comes after a' },
    {
      members: [member('a', { digest: 'sha256:0' })],
      says: 'digest is "sha256:0"; expected sha256:<64 hex>',
    },
    { members: [member('a', { samples: 0 })], says: 'samples is 0; expected 1 to 1000000000' },
    { members: [member('a', { samples: 1e9 + 1 })], says: 'samples is 1000000001' },
    { members: [member('a', { steps: 0 })], says: 'steps is 0' },
    { members: [member('a', { loss: Number.NaN })], says: 'loss is NaN' },
    { members: [member('a', { loss: 1e13 })], says: 'loss is 10000000000000' },
  ])('is refused: $says', ({ members, says }) => {
    expect(() => checkOffer(offer(members))).toThrow(says)
  })

  it('of ten thousand nodes fits into a message', () => {
    const nodes = Array.from(
      { length: 10_000 },
      (_, k) => `edge-${String(k).padStart(5, '0')}.district.city.example`,
    )
    const whole = offer(nodes.map((node) => member(node, { samples: 1e9, steps: 1e9, loss: 1 / 3 })))
    expect(checkOffer(whole).members).toHaveLength(10_000)
    expect(IntermediateOffer.encode(whole).finish().byteLength).toBeLessThan(MAXIMUM_MESSAGE_BYTES / 2)
  })

  it('has the digest of its members, whatever else the message said', () => {
    const members = [member('a'), member('b')]
    expect(offerDigest(checkOffer(offer(members)).members)).toBe(offerDigest(members))
    for (const changed of [
      { digest: `sha256:${'1'.repeat(64)}` },
      { samples: 4 },
      { steps: 3 },
      { loss: 0.25 },
    ]) {
      expect(offerDigest([member('a', changed), member('b')])).not.toBe(offerDigest(members))
    }
  })
})
