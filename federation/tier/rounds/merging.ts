// The step from a round's committed updates to its new parameters and the strategy's new state: the same set of updates gives
// the same bits, however often it is repeated after a crash, because nothing else goes in but what the round was opened with.
import { float32File } from '#federation/aggregation/float32-file.ts'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import { discountOf } from '#federation/aggregation/mean.ts'
import type { OpenReader } from '#federation/aggregation/reader.ts'
import {
  mergeUpdates,
  type AcceptedUpdate,
  type MergeOptions,
  type Sink,
} from '#federation/aggregation/merge.ts'
import { LateUpdates } from '#federation/wire/generated/tributary.ts'
import { rangesOfUpdate, withoutValues } from './local-values.ts'
import type { ResultRecord } from '../store/records.ts'
import type { BlobReference, BlobStore } from '../store/blobs.ts'
import type { Campaign } from './campaign.ts'
import { bytesIn, uploadPath, type Round } from './round.ts'
import { samplesOf } from '../tiers/members.ts'
import { withRunningStateInto } from './running-state.ts'

export type Merged = Pick<ResultRecord, 'parameters' | 'state'>

export interface MergeContext {
  readonly blobs: BlobStore
  readonly kernels: Kernels
}

/** A round as far as its committed updates are merged. */
export type CommittedRound = Pick<Round, 'number' | 'attempt' | 'commit'>

type Inputs = Omit<MergeOptions, 'write' | 'writeState'>

/** Writes the new parameters, and the vectors that the strategy keeps; the caller holds the blobs. */
export async function mergeRound(campaign: Campaign, round: Round, context: MergeContext): Promise<Merged> {
  const { blobs } = context
  const inputs = inputsOf(campaign, round, context)
  const names = campaign.strategy.serverState
  const state: Record<string, BlobReference> = {}
  // One open blob within another: all of them are written in the one pass over the updates.
  const writeInto = async (sinks: readonly Sink[]): Promise<BlobReference> => {
    const name = names[sinks.length]
    if (name === undefined) {
      return blobs.write(async (write) => mergeUpdates({ ...inputs, write, writeState: sinks }))
    }
    let parameters: BlobReference | undefined
    state[name] = await blobs.write(async (write) => {
      parameters = await writeInto([...sinks, write])
    })
    if (!parameters) throw new Error('unreachable: the innermost blob is the parameters')
    return parameters
  }
  const parameters = await writeInto([])
  return { parameters, state }
}

function inputsOf(campaign: Campaign, round: Round, { blobs, kernels }: MergeContext): Inputs {
  const { strategy, signal } = campaign
  const { base, learningRate, population, state } = round.attempt
  const { parameterCount, trainableCount } = countsOf(campaign, round)
  const updates = updatesToMerge(campaign, round, blobs)
  const vectors = strategy.serverState.map((name) => state[name]).filter((blob) => blob !== undefined)
  return {
    ...{ strategy, updates, kernels, signal },
    base: float32File(blobs.path(base.digest)),
    ...{ parameterCount, trainableCount },
    context: { round: round.number, participants: Math.max(population, updates.length), learningRate },
    // All or none: before the first merge there are none.
    ...(vectors.length > 0 && { state: vectors.map(({ digest }) => float32File(blobs.path(digest))) }),
  }
}

/** Values of the parameters, of those that training moves, and how many vectors of the latter follow the parameters in an update. */
function countsOf(
  { start, strategy }: Campaign,
  round: CommittedRound,
): { parameterCount: number; trainableCount: number; sections: number } {
  if (!start) throw new Error(`round ${round.number} was opened before its campaign`)
  const parameterCount = round.attempt.base.size / Float32Array.BYTES_PER_ELEMENT
  return { parameterCount, trainableCount: start.trainableCount, sections: strategy.sections.length }
}

/** Committed updates by what holds their bytes: a member of an intermediate update has none of its own. */
export function updatesToMerge(
  campaign: Campaign,
  round: CommittedRound,
  blobs: BlobStore,
): AcceptedUpdate[] {
  const { start } = campaign
  if (!start || !round.commit) throw new Error(`round ${round.number} is not committed`)
  const counts = countsOf(campaign, round)
  const local = rangesOfUpdate(start.localRanges, counts)
  const into = float32File(blobs.path(round.attempt.base.digest))
  const running = { start: start.trainableCount, end: counts.parameterCount }
  const own = round.commit.updates.filter(({ through }) => through === undefined)
  const updates = own.map(({ digest, trainedFrom = round.number, ...update }) => {
    const path = uploadPath(campaign.roundDirectory(trainedFrom), update.participant, digest)
    const bytes = campaign.codec.open(path)
    const from = trainedFrom === round.number ? undefined : baseOf(campaign, trainedFrom, blobs)
    const open = from ? withRunningStateInto(bytes, { from, into, running }) : bytes
    return { ...update, ...ageOf(campaign, round.number - trainedFrom), open: withoutValues(open, local) }
  })
  const sums = sumsOf(campaign, round).map(({ path, trainedFrom, ...sum }) => {
    const bytes = float32File(path)
    const from = trainedFrom === round.number ? undefined : baseOf(campaign, trainedFrom, blobs)
    const bases = from && { from, into, running, samples: sum.samples }
    const open = bases ? withRunningStateInto(bytes, bases) : bytes
    return { ...sum, ...ageOf(campaign, round.number - trainedFrom), open: withoutValues(open, local) }
  })
  return [...updates, ...sums]
}

/** What a merge is told of an update that is so many merges old. */
function ageOf({ plan }: Campaign, staleness: number): Pick<AcceptedUpdate, 'staleness' | 'discount'> {
  return plan.lateUpdates === LateUpdates.DISCOUNT
    ? { staleness, discount: discountOf(staleness) }
    : { staleness }
}

/** Each intermediate update once. A slash is in no node's name: it stays apart from a node of the same name. */
export function sumsOf(campaign: Campaign, { number, commit }: Pick<Round, 'number' | 'commit'>): Sum[] {
  const rounds = new Map<string, number>()
  for (const { through, trainedFrom = number } of commit?.updates ?? []) {
    if (through !== undefined) rounds.set(through, trainedFrom)
  }
  return [...rounds].map(([key, trainedFrom]) => {
    const round = campaign.rounds.get(trainedFrom)
    const record = round?.intermediates.get(key)
    if (!round || !record) throw new Error(`round ${trainedFrom} has no intermediate update ${key}`)
    const path = bytesIn(round.offerDirectory(key), record.digest)
    return { participant: key, samples: samplesOf(record.members), summed: true, path, trainedFrom }
  })
}

interface Sum extends Pick<AcceptedUpdate, 'participant' | 'samples' | 'summed'> {
  readonly path: string
  readonly trainedFrom: number
}

function baseOf({ rounds, uid }: Campaign, number: number, blobs: BlobStore): OpenReader {
  const round = rounds.get(number)
  if (!round) throw new Error(`round ${number} of campaign ${uid} is gone, from which an update was trained`)
  return float32File(blobs.path(round.attempt.base.digest))
}
