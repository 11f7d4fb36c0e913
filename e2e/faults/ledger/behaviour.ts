/*
 * What a participant does in a round of the storm. Most send their update until it is accepted; the others do, besides or
 * instead, what restarted pods and bad clients do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { deliver, type Delivery, type RoundAtEdge } from './delivery.ts'
import type { Dice } from './dice.ts'

/** Why a participant sends nothing more. */
type Ending = 'answered' | 'failed'

export const BEHAVIOURS = {
  /** Sends until there is an answer. */
  plain: 40,
  /** Sends the same bytes twice at the same time. */
  doubled: 15,
  /** Sends the same bytes again after the answer. */
  repeating: 10,
  /** Sends two different updates at the same time. */
  rivalling: 10,
  /** Sends other bytes after the answer. */
  contradicting: 10,
  /** Gives up while sending, then says that it cannot train. */
  quitting: 9,
  /** Sends nothing and says that it cannot train. */
  silent: 6,
}
export type Behaviour = keyof typeof BEHAVIOURS

/** No delivery of a storm takes longer, unless something is broken. */
export const DELIVERY_TIMEOUT_MS = 300_000

export async function act(
  behaviour: Behaviour,
  at: RoundAtEdge,
  participant: number,
  dice: Dice,
): Promise<Ending> {
  let deliveries = 0
  const delivery = (variant: number, timeoutMs = DELIVERY_TIMEOUT_MS): Delivery => {
    const signal = AbortSignal.timeout(timeoutMs)
    return { participant, variant, signal, dice: dice.fork(`delivery ${deliveries++}`) }
  }
  const send = async (variant: number): Promise<void> => {
    if (await deliver(at, delivery(variant))) return
    throw new Error(
      `participant ${participant} of round ${at.round} got no answer in ${DELIVERY_TIMEOUT_MS} ms`,
    )
  }
  await sleep(dice.between(0, 300))
  switch (behaviour) {
    case 'plain':
      await send(0)
      return 'answered'
    case 'doubled':
      await Promise.all([send(0), send(0)])
      return 'answered'
    case 'rivalling':
      await Promise.all([send(0), send(1)])
      return 'answered'
    case 'repeating':
      await send(0)
      await send(0)
      return 'answered'
    case 'contradicting':
      await send(0)
      await send(1)
      return 'answered'
    case 'quitting':
      return (await deliver(at, delivery(0, dice.integer(1, 200)))) ? 'answered' : 'failed'
    case 'silent':
      return 'failed'
  }
}
