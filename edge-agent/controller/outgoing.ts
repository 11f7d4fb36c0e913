// What an edge controller has written down of the way of a sum of a round to its parent, in the round's folder:
//   outgoing/offer.json      whose updates the parent wants; from here on the sum is what it is
//   outgoing/sum.json blobs/      the sum, until the parent's round is settled
//   outgoing/delivered.json  what the parent said of it
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { BlobStore } from '#federation/tier/store/blobs.ts'
import { listDirectory, readRecord, removeTree, writeRecord } from '#federation/tier/store/files.ts'

const Member = z.object({
  node: z.string(),
  digest: z.string(),
  samples: z.number(),
  steps: z.number(),
  loss: z.number(),
})
const Offer = z.object({ members: z.array(Member), digest: z.string() })
export type Offer = z.infer<typeof Offer>
const Sum = z.object({ digest: z.string(), size: z.number() })
export type Sum = z.infer<typeof Sum>
const Delivered = z.object({
  outcome: z.enum(['accepted', 'nothing', 'late', 'refused', 'settled']),
  detail: z.string(),
  /** Which parent said so: another one may not know. */
  to: z.string(),
})
export type Delivered = z.infer<typeof Delivered>

export class Outgoing {
  readonly #folder: string

  /** @param folder of this sum alone */
  constructor(folder: string) {
    this.#folder = folder
  }

  async offer(): Promise<Offer | undefined> {
    return await readRecord(join(this.#folder, 'offer.json'), Offer)
  }

  async saveOffer(offer: Offer): Promise<void> {
    await writeRecord(join(this.#folder, 'offer.json'), offer)
  }

  async sum(): Promise<Sum | undefined> {
    return await readRecord(join(this.#folder, 'sum.json'), Sum)
  }

  async saveSum(sum: Sum): Promise<void> {
    await writeRecord(join(this.#folder, 'sum.json'), sum)
  }

  async delivered(): Promise<Delivered | undefined> {
    return await readRecord(join(this.#folder, 'delivered.json'), Delivered)
  }

  async saveDelivered(delivered: Delivered): Promise<void> {
    await writeRecord(join(this.#folder, 'delivered.json'), delivered)
  }

  /** Holds the bytes of the sum. */
  async store(): Promise<BlobStore> {
    const store = new BlobStore(this.#folder)
    await store.open()
    return store
  }

  /** The parent does not want it as it was offered: everything begins with another offer. */
  async withdraw(): Promise<void> {
    await removeTree(this.#folder)
  }

  /** Frees the disk; that it was delivered stays on record. */
  async dropBytes(): Promise<void> {
    for (const name of await listDirectory(this.#folder)) {
      if (name !== 'delivered.json') await rm(join(this.#folder, name), { recursive: true, force: true })
    }
  }
}
