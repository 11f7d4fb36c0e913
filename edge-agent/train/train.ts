// The training pod: one stream to its parent for the life of the campaign, the participant behind it, and the thread that
// trains. Network trouble is waited out for ever; only the word "finished" or the signal end it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'

import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { Pacer } from '#federation/wire/pacer.ts'
import { VerifiedFiles } from '#federation/wire/verified-files.ts'

import { ClientState } from './client-state.ts'
import { Outbox } from './outbox.ts'
import { ParentMemory } from './parent-memory.ts'
import { Participant } from './participant.ts'
import { TrainerThread } from './trainer-thread.ts'
import { UnsettledUpdates } from './unsettled.ts'
import { type Listener, Uplink } from './uplink.ts'
import { type WorkContext, carryOut } from './work.ts'

export interface TrainOptions {
  /** Where every pod begins, and what it comes back to from an edge controller. */
  readonly hub: HubEndpoint
  readonly campaign: string
  readonly node: string
  /** JSON; see DatasetConfiguration. */
  readonly dataset: string
  /** What transfers may take of the link. */
  readonly bytesPerSecond?: number | undefined
  readonly dataFolder: string
  readonly workFolder: string
  /** Module that imports thread.ts. */
  readonly threadEntry: URL
  /** Module that imports the training runtime's worker-thread.ts; its own unless it is part of a bundle. */
  readonly shardEntry?: URL
  readonly softwareVersion: string
  readonly log: Logger
  readonly random: () => number
  /** Milliseconds of a clock that does not jump; that of the process unless given. */
  readonly now?: () => number
  readonly signal: AbortSignal
}

/** Resolves with the parent's reason once the campaign is finished; rejects with the signal's. */
export async function runTraining(options: TrainOptions): Promise<string> {
  const { campaign, node, dataset, dataFolder, log, random } = options
  const { outbox, state, unsettled, memory, blobFolder } = await openFolders(options)
  const { hub, now = () => performance.now() } = options
  const pacer = pacerOf(options)
  const connect = (endpoint: HubEndpoint) => new HubHttp(endpoint, { pacer })
  const uplink = await Uplink.open({ hub, connect, memory, log, random, now })
  sayKernels(log)
  const shardEntry = options.shardEntry?.href
  const settings = { role: 'trainer', dataset, dataFolder, shardEntry } as const
  const trainer = new TrainerThread(options.threadEntry, settings)
  const participant: Participant = new Participant(
    async (work, key, signal) => await carryOut(context, work, key, signal),
    log,
  )
  const say = participant.say.bind(participant)
  const shared = { campaign, node, http: uplink, log, random, verified: new VerifiedFiles() }
  const hasMetControllers = () => uplink.hasMetControllers
  const kept = { outbox, state, unsettled, blobFolder }
  const context: WorkContext = { ...shared, ...kept, trainer, hasMetControllers, say }
  const over = new AbortController()
  try {
    const listener = listenerOf({ participant, outbox, unsettled }, options)
    const stream = uplink.follow(listener, AbortSignal.any([options.signal, over.signal]))
    return await Promise.race([participant.finished, stream])
  } finally {
    over.abort(new Error('the campaign is over'))
    participant.stop('the process ends')
    await trainer.close()
    await memory.written()
  }
}

function pacerOf({ bytesPerSecond }: TrainOptions): Pacer | undefined {
  return bytesPerSecond === undefined ? undefined : new Pacer(bytesPerSecond)
}

async function openFolders({ workFolder, campaign, log }: TrainOptions) {
  const outbox = new Outbox(join(workFolder, 'outbox'))
  await outbox.open()
  const state = new ClientState(join(workFolder, 'state'), campaign)
  await state.open()
  const unsettled = new UnsettledUpdates(join(workFolder, 'unsettled'))
  await unsettled.open()
  const blobFolder = join(workFolder, 'blobs')
  await mkdir(blobFolder, { recursive: true })
  return { outbox, state, unsettled, blobFolder, memory: new ParentMemory(workFolder, log) }
}

/** The thread that trains loads them too; it has no log of its own. */
function sayKernels(log: Logger): void {
  const { native, description } = loadKernels()
  if (native) log.info({ kernels: description }, 'kernels of the optimiser')
  else log.warn({ kernels: description }, 'training is slower: the compiled kernels cannot be loaded')
}

interface Parts {
  readonly participant: Participant
  readonly outbox: Outbox
  readonly unsettled: UnsettledUpdates
}

function listenerOf(
  { participant, outbox, unsettled }: Parts,
  { campaign, softwareVersion, log }: TrainOptions,
): Listener {
  return {
    hello: () => {
      const round = participant.trainingRound ?? outbox.newestRound ?? 0
      return { campaign, softwareVersion, round }
    },
    speakThrough: (send) => participant.speakThrough(send),
    receive: (assignment) => participant.receive(assignment),
    settled: (round) => {
      unsettled.settle(round).catch((error: unknown) => {
        log.warn({ round, error: String(error) }, 'settled updates cannot be removed')
      })
    },
  }
}
