/*
 * What a participant does in a round of the storm. Most send their update until it is accepted; the others do, besides or
 * instead, what restarted pods and bad clients do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { UploadOutcome } from '#federation/wire/upload.ts'
import type { Dice } from './dice.ts'

export const BEHAVIOURS = {
  /** Sends until there is an answer. */
  plain: 34,
  /** Sends the same bytes twice at the same time. */
  doubled: 13,
  /** Sends the same bytes to the hub at the same time, wherever it belongs. */
  straying: 10,
  /** Sends the same bytes again after the answer. */
  repeating: 9,
  /** Sends two different updates at the same time, to the same tier or not. */
  rivalling: 10,
  /** Sends other bytes after the answer. */
  contradicting: 9,
  /** Gives up while sending, then says that it cannot train. */
  quitting: 9,
  /** Sends nothing and says that it cannot train. */
  silent: 6,
}
export type Behaviour = keyof typeof BEHAVIOURS

export interface Means {
  /** Sends what was trained as the pod does; undefined when that was given up. */
  readonly own: (patienceMs?: number) => Promise<UploadOutcome | undefined>
  /** Sends over another connection, beside whatever else goes on. */
  readonly aside: (variant: number, to: 'parent' | 'hub') => void
  readonly dice: Dice
}

/** Whether the participant has done its part; else it says that it cannot train. */
export async function act(behaviour: Behaviour, { own, aside, dice }: Means): Promise<boolean> {
  const trained = async (): Promise<boolean> => (await own())?.kind !== 'refused'
  await sleep(dice.between(0, 300))
  switch (behaviour) {
    case 'plain':
      return await trained()
    case 'doubled':
      aside(0, 'parent')
      return await trained()
    case 'straying':
      aside(0, 'hub')
      return await trained()
    case 'rivalling':
      aside(1, dice.chance(0.5) ? 'hub' : 'parent')
      return await trained()
    case 'repeating': {
      const done = await trained()
      aside(0, 'parent')
      return done
    }
    case 'contradicting': {
      const done = await trained()
      aside(1, 'parent')
      return done
    }
    case 'quitting':
      return (await own(dice.integer(1, 200))) !== undefined
    case 'silent':
      return false
  }
}

/** The same when it is asked again, by another parent or after its connection broke: what it trained is kept and offered. */
export async function actAgain(behaviour: Behaviour, { own }: Means): Promise<boolean> {
  if (behaviour === 'quitting' || behaviour === 'silent') return false
  return (await own())?.kind !== 'refused'
}
