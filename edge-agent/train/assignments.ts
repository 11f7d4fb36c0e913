// What an arriving assignment means for a participant, as a pure function. The hub repeats assignments when a stream
// opens again: the same one must have the same effect, and the newest always wins.
import type {
  Assignment,
  EvaluateAssignment,
  ParticipantMessage,
  TrainAssignment,
} from '#federation/wire/generated/tributary.ts'
import { PATIENT_IDLE_REASONS } from '#federation/wire/names.ts'

export type Work =
  | { readonly kind: 'train'; readonly value: TrainAssignment }
  | { readonly kind: 'evaluate'; readonly value: EvaluateAssignment }

/** How the last piece of work ended. */
export interface Answer {
  readonly key: string
  readonly deadlineUnixMs: number
  /** What was said to the hub on the stream; absent when the hub knows already, from the upload. */
  readonly message?: ParticipantMessage
}

export interface Situation {
  /** Key of the work under way. */
  readonly running?: string
  readonly answered?: Answer
}

export type Reaction =
  | { readonly kind: 'carryOn' }
  | { readonly kind: 'start'; readonly key: string; readonly work: Work }
  | { readonly kind: 'repeatAnswer'; readonly message: ParticipantMessage }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'finish'; readonly reason: string }

export function react(situation: Situation, assignment: Assignment): Reaction {
  const { kind } = assignment
  switch (kind?.$case) {
    case 'idle': {
      const { reason } = kind.value
      return PATIENT_IDLE_REASONS.has(reason) ? { kind: 'carryOn' } : { kind: 'stop', reason }
    }
    case 'finished':
      return { kind: 'finish', reason: kind.value.reason }
    case 'train':
      return reactToWork(situation, { kind: 'train', value: kind.value })
    case 'evaluate':
      return reactToWork(situation, { kind: 'evaluate', value: kind.value })
    case 'parent':
      // Where to go on says nothing of what to do.
      return { kind: 'carryOn' }
    case undefined:
      // A kind that a newer hub knows and this participant doesn't.
      return { kind: 'stop', reason: 'the assignment has no kind that this version knows' }
  }
}

function reactToWork({ running, answered }: Situation, work: Work): Reaction {
  const key = workKey(work)
  if (running === key) return { kind: 'carryOn' }
  // Another deadline is another attempt of the round: what failed may succeed now.
  const sameAttempt = answered?.key === key && answered.deadlineUnixMs === work.value.deadlineUnixMs
  if (running !== undefined || !sameAttempt) return { kind: 'start', key, work }
  return answered.message ? { kind: 'repeatAnswer', message: answered.message } : { kind: 'carryOn' }
}

/** The same for two assignments exactly if the same work answers both. The deadline is not part of it. */
export function workKey(work: Work): string {
  const { round, graphs, parameters, training } = work.value
  return JSON.stringify([
    work.kind,
    round,
    [graphs?.manifest?.digest, graphs?.trainingStep?.digest, graphs?.evaluation?.digest],
    [graphs?.personalManifest?.digest, graphs?.personalTrainingStep?.digest],
    parameters?.digest,
    training && [
      training.epochs,
      training.learningRate,
      training.seed,
      training.holdoutFraction,
      training.holdoutSplit,
    ],
    work.kind === 'train' && [
      work.value.serverControl?.digest,
      work.value.measureInitialLoss,
      work.value.transfer,
    ],
  ])
}
