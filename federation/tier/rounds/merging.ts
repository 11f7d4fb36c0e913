// The step from a round's committed updates to its new parameters and the strategy's new state: the same set of updates gives
// the same bits, however often it is repeated after a crash, because nothing else goes in but what the round was opened with.
import { float32File } from '#federation/aggregation/float32-file.ts'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { OpenReader } from '#federation/aggregation/reader.ts'
import { mergeUpdates, type MergeOptions, type Sink } from '#federation/aggregation/merge.ts'
import { rangesOfUpdate, withoutValues } from './local-values.ts'
import type { ResultRecord } from '../store/records.ts'
import type { BlobReference, BlobStore } from '../store/blobs.ts'
import type { Campaign } from './campaign.ts'
import { uploadPath, type Round } from './round.ts'
import { withRunningStateInto } from './running-state.ts'

export type Merged = Pick<ResultRecord, 'parameters' | 'state'>

export interface MergeContext {
  readonly blobs: BlobStore
  readonly kernels: Kernels
}

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
  const { start, strategy, signal } = campaign
  if (!start || !round.commit) throw new Error(`round ${round.number} is not committed`)
  const { base, learningRate, population, state } = round.attempt
  const parameterCount = base.size / Float32Array.BYTES_PER_ELEMENT
  const { trainableCount } = start
  const counts = { parameterCount, trainableCount, sections: strategy.sections.length }
  const local = rangesOfUpdate(start.localRanges, counts)
  const into = float32File(blobs.path(base.digest))
  const running = { start: trainableCount, end: parameterCount }
  const updates = round.commit.updates.map(({ digest, trainedFrom = round.number, ...update }) => {
    const path = uploadPath(campaign.roundDirectory(trainedFrom), update.participant, digest)
    const bytes = campaign.codec.open(path)
    const from = trainedFrom === round.number ? undefined : baseOf(campaign, trainedFrom, blobs)
    const open = from ? withRunningStateInto(bytes, { from, into, running }) : bytes
    return { ...update, staleness: round.number - trainedFrom, open: withoutValues(open, local) }
  })
  const vectors = strategy.serverState.map((name) => state[name]).filter((blob) => blob !== undefined)
  return {
    ...{ strategy, updates, kernels, signal },
    base: into,
    ...{ parameterCount, trainableCount },
    context: { round: round.number, participants: Math.max(population, updates.length), learningRate },
    // All or none: before the first merge there are none.
    ...(vectors.length > 0 && { state: vectors.map(({ digest }) => float32File(blobs.path(digest))) }),
  }
}

function baseOf({ rounds, uid }: Campaign, number: number, blobs: BlobStore): OpenReader {
  const round = rounds.get(number)
  if (!round) throw new Error(`round ${number} of campaign ${uid} is gone, from which an update was trained`)
  return float32File(blobs.path(round.attempt.base.digest))
}
