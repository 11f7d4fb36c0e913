// From a finished update to the parent's verdict, and from the verdict to what the node keeps: the state that belongs to an
// update becomes the node's state, once, if a parent accepted the update. A pod that ended between the two asks before it trains
// again. The bytes stay, for another parent, until the hub has settled their round (unsettled.ts).
import type { Logger } from 'pino'

import type { Sender } from '#federation/wire/http.ts'
import { isAccepted, uploadUpdate } from '#federation/wire/upload.ts'

import type { ClientState } from './client-state.ts'
import { TrainingFailure } from './failures.ts'
import type { FinishedUpdate, Outbox } from './outbox.ts'
import type { StoredUpdate } from './unsettled.ts'

export interface SendContext {
  readonly campaign: string
  readonly node: string
  readonly http: Sender
  readonly outbox: Outbox
  readonly state: ClientState
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** An update to send, and what is known of it in this process. */
export interface Outgoing extends StoredUpdate {
  readonly neverSent: boolean
}

export async function send(
  context: SendContext,
  { update, path, neverSent }: Outgoing,
  signal: AbortSignal,
): Promise<void> {
  const { campaign, node, http, random, log } = context
  const { round, parameters, digest, size, samples, steps, loss, initialLoss } = update
  const outcome = await uploadUpdate(
    {
      ...{ campaign, round, participant: node, digest, size, samples, steps, loss, initialLoss },
      ...{ path, parameters, neverSent },
    },
    { http, signal, random, onRetry: retryLogger(log, 'sending the update') },
  )
  if (outcome.kind === 'refused') {
    throw new TrainingFailure('UpdateRefused', `${outcome.reason}: ${outcome.detail}`)
  }
  log.info({ round, ...outcome }, 'update answered')
  if (outcome.kind === 'accepted') await keep(context, update)
}

/** Finds out what became of the last update if this node ended before it could act on the answer. */
export async function settle(context: SendContext, signal: AbortSignal): Promise<void> {
  const { campaign, node, http, random, outbox, state, log } = context
  const last = await outbox.newest()
  if (!last || last.state.length === 0 || (await state.follows(last.digest))) return
  const { round, digest } = last
  const options = { http, signal, random, onRetry: retryLogger(log, 'asking about the last update') }
  const accepted = await isAccepted({ campaign, round, participant: node, digest }, options)
  log.info({ round, accepted }, 'the last update is settled')
  if (accepted) await keep(context, last)
}

async function keep({ state }: SendContext, update: FinishedUpdate): Promise<void> {
  if (update.state.length > 0) await state.commit(update.digest, update.round, update.state)
}

export function retryLogger(log: Logger, what: string): (error: Error, waitMs: number) => void {
  return (error, waitMs) => {
    log.warn({ error: error.message, waitMs }, `${what}: trying again`)
  }
}
