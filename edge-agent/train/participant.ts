// One node's part in a campaign: carries out the newest assignment, gives up what it replaces, and answers each exactly
// as often as the hub asks. A finished update survives a restart; only the hub's word ends the wait for the network.
import type { Logger } from 'pino'

import type { Assignment, ParticipantMessage } from '#federation/wire/generated/tributary.ts'

import { type Answer, type Work, react } from './assignments.ts'
import { asTrainingFailure } from './failures.ts'

/** Carries out one piece of work; the answer for the stream, if there is one. */
export type CarryOut = (
  work: Work,
  key: string,
  signal: AbortSignal,
) => Promise<ParticipantMessage | undefined>

interface Running {
  readonly key: string
  readonly work: Work
  readonly controller: AbortController
}

export class Participant {
  /** Resolves with the hub's reason once the campaign is over. */
  readonly finished: Promise<string>
  readonly #finish: (reason: string) => void
  readonly #carryOut: CarryOut
  readonly #log: Logger
  #send: (message: ParticipantMessage) => void = () => {}
  #running: Running | undefined
  #answered: Answer | undefined
  /** The work before this one, which may still be on its way out. */
  #before: Promise<unknown> = Promise.resolve()

  constructor(carryOut: CarryOut, log: Logger) {
    this.#carryOut = carryOut
    this.#log = log
    const { promise, resolve } = Promise.withResolvers<string>()
    this.finished = promise
    this.#finish = resolve
  }

  /** The round of the training under way. */
  get trainingRound(): number | undefined {
    const work = this.#running?.work
    return work?.kind === 'train' ? work.value.round : undefined
  }

  /**
   * From now on answers go to this stream, which was opened anew. That an update was accepted was heard from whoever held the
   * one before, and is not known to everybody: it is asked again if the assignment is.
   */
  speakThrough(send: (message: ParticipantMessage) => void): void {
    this.#send = send
    if (this.#answered && !this.#answered.message) this.#answered = undefined
  }

  /** Sends what may be lost, such as progress. */
  say(message: ParticipantMessage): void {
    this.#send(message)
  }

  receive(assignment: Assignment): void {
    const situation = {
      ...(this.#running && { running: this.#running.key }),
      ...(this.#answered && { answered: this.#answered }),
    }
    const reaction = react(situation, assignment)
    switch (reaction.kind) {
      case 'carryOn':
        return
      case 'repeatAnswer':
        this.#send(reaction.message)
        return
      case 'start':
        this.stop('a newer assignment arrived')
        this.#start(reaction.work, reaction.key)
        return
      case 'stop':
        this.stop(reaction.reason)
        this.#log.info({ reason: reaction.reason }, 'nothing to do')
        return
      case 'finish':
        this.stop(reaction.reason)
        this.#finish(reaction.reason)
    }
  }

  stop(reason: string): void {
    if (!this.#running) return
    this.#log.info({ reason }, 'work given up')
    this.#running.controller.abort(new Error(reason))
    this.#running = undefined
  }

  #start(work: Work, key: string): void {
    const running = { key, work, controller: new AbortController() }
    this.#running = running
    const { round, deadlineUnixMs } = work.value
    this.#log.info(
      { round, kind: work.kind, deadline: new Date(deadlineUnixMs).toISOString() },
      'work started',
    )
    this.#before = this.#before.then(async () => {
      const message = await this.#finishing(work, key, running.controller.signal)
      if (this.#running !== running) return
      this.#running = undefined
      this.#answered = { key, deadlineUnixMs, ...(message && { message }) }
      if (message) this.#send(message)
    })
  }

  /** Never rejects: a failure is an answer too. */
  async #finishing(work: Work, key: string, signal: AbortSignal): Promise<ParticipantMessage | undefined> {
    const { round } = work.value
    try {
      signal.throwIfAborted()
      const message = await this.#carryOut(work, key, signal)
      this.#log.info({ round, kind: work.kind }, 'work done')
      return message
    } catch (error) {
      if (signal.aborted) return undefined
      const { reason, message, local } = asTrainingFailure(error)
      this.#log.error({ round, kind: work.kind, reason, detail: local ?? message }, 'work failed')
      return { kind: { $case: 'failure', value: { round, reason, message: message.slice(0, 1024) } } }
    }
  }
}
