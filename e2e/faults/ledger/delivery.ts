/*
 * A participant's side of the storm: the client that training pods use sends updates, and the ledger hears of each before
 * its first byte leaves and of the verdict afterwards. One delivery may run beside another of the same participant, as
 * happens when a pod was restarted and its predecessor's connection still lives.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import { digestOf } from '#federation/wire/digest.ts'
import type { Sender } from '#federation/wire/http.ts'
import { uploadUpdate, type Update, type UploadOutcome } from '#federation/wire/upload.ts'
import type { Dice } from './dice.ts'
import type { Ledger } from './ledger.ts'
import { bytesOf, vectorOf, type Shape } from './vectors.ts'

/** One round as its participants know it. */
export interface RoundAtEdge {
  readonly seed: string
  readonly campaign: string
  readonly round: number
  readonly shape: Shape
  /** Digest of the parameters that training starts from. */
  readonly parameters: string
  /** Where updates lie before they are sent. */
  readonly folder: string
  readonly ledger: Ledger
  readonly nameOf: (participant: number) => string
}

/** Where a delivery goes. */
export interface Parent {
  readonly http: Sender
  /** Which tier gave the last answer. */
  readonly answeredBy: string
}

export interface Delivery {
  readonly participant: number
  /** 0: what the participant trained; another: other bytes under the same key. */
  readonly variant: number
  readonly to: Parent
  /** When it is given up. */
  readonly signal: AbortSignal
  readonly dice: Dice
  /** Between attempts; a storm's unless given. */
  readonly backoff?: BackoffOptions
}

/** Two pieces or one; a piece of a third makes requests that continue others. */
const PIECES = { one: 2, three: 1 }
export const STORM_BACKOFF = { initialMs: 20, maximumMs: 2_000 }
/** A connection that is held for long is given up before it is let go; a machine that is merely busy is waited for. */
const PACE = { windowMs: 1_000, minimumBytes: 1 }

/** The verdict; undefined when it was given up before there was one. */
export async function deliver(at: RoundAtEdge, delivery: Delivery): Promise<UploadOutcome | undefined> {
  const { participant, to, signal, dice, backoff = STORM_BACKOFF } = delivery
  const update = await prepare(at, delivery)
  const chunkBytes = dice.pick(PIECES) === 'one' ? update.size : Math.ceil(update.size / 3)
  at.ledger.sent(participant, update.digest)
  try {
    const outcome = await uploadUpdate(update, {
      ...{ http: to.http, signal, random: dice.uniform, backoff, pace: PACE, chunkBytes },
    })
    at.ledger.answered(participant, update.digest, { outcome, by: to.answeredBy })
    return outcome
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

async function prepare(at: RoundAtEdge, { participant, variant, dice }: Delivery): Promise<Update> {
  const { seed, campaign, round, shape, parameters } = at
  const bytes = bytesOf(vectorOf({ seed, round, participant, variant }, shape))
  const path = join(at.folder, `${round}-${participant}-${variant}`)
  await writeFile(path, bytes)
  const key = { campaign, round, participant: at.nameOf(participant) }
  const facts = { samples: 1, steps: 1, loss: 0.5, parameters, neverSent: dice.chance(0.5) }
  return { ...key, ...facts, path, size: bytes.byteLength, digest: digestOf(bytes) }
}
