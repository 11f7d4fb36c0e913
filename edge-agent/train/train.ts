// The training pod: one stream to the hub for the life of the campaign, the participant behind it, and the thread that
// trains. Network trouble is waited out for ever; only the hub's "finished" or the signal end it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'

import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { ParticipationClient } from '#federation/wire/generated/tributary.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { Pacer } from '#federation/wire/pacer.ts'
import { keepStreamOpen } from '#federation/wire/stream.ts'
import { VerifiedFiles } from '#federation/wire/verified-files.ts'

import { ClientState } from './client-state.ts'
import { Outbox } from './outbox.ts'
import { Participant } from './participant.ts'
import { TrainerThread } from './trainer-thread.ts'
import { retryLogger } from './sending.ts'
import { type WorkContext, carryOut } from './work.ts'

export interface TrainOptions {
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
  readonly softwareVersion: string
  readonly log: Logger
  readonly random: () => number
  readonly signal: AbortSignal
}

/** Resolves with the hub's reason once the campaign is finished; rejects with the signal's. */
export async function runTraining(options: TrainOptions): Promise<string> {
  const { hub, campaign, node, dataset, dataFolder, workFolder, log, random } = options
  const outbox = new Outbox(join(workFolder, 'outbox'))
  await outbox.open()
  const state = new ClientState(join(workFolder, 'state'), campaign)
  await state.open()
  const blobFolder = join(workFolder, 'blobs')
  await mkdir(blobFolder, { recursive: true })
  const http = new HubHttp(hub, { pacer: pacerOf(options) })
  sayKernels(log)
  const trainer = new TrainerThread(options.threadEntry, { role: 'trainer', dataset, dataFolder })
  const participant: Participant = new Participant(
    async (work, key, signal) => await carryOut(context, work, key, signal),
    log,
  )
  const say = participant.say.bind(participant)
  const shared = { campaign, node, http, log, random, verified: new VerifiedFiles() }
  const context: WorkContext = { ...shared, trainer, outbox, state, blobFolder, say }
  const over = new AbortController()
  try {
    const parts = { participant, outbox }
    const stream = followAssignments(parts, options, AbortSignal.any([options.signal, over.signal]))
    return await Promise.race([participant.finished, stream])
  } finally {
    over.abort(new Error('the campaign is over'))
    participant.stop('the process ends')
    http.destroy()
    await trainer.close()
  }
}

function pacerOf({ bytesPerSecond }: TrainOptions): Pacer | undefined {
  return bytesPerSecond === undefined ? undefined : new Pacer(bytesPerSecond)
}

/** The thread that trains loads them too; it has no log of its own. */
function sayKernels(log: Logger): void {
  const { native, description } = loadKernels()
  if (native) log.info({ kernels: description }, 'kernels of the optimiser')
  else log.warn({ kernels: description }, 'training is slower: the compiled kernels cannot be loaded')
}

async function followAssignments(
  { participant, outbox }: { participant: Participant; outbox: Outbox },
  options: TrainOptions,
  signal: AbortSignal,
): Promise<never> {
  const { hub, campaign, softwareVersion, log, random } = options
  return await keepStreamOpen({
    open: () => {
      const client = createHubClient(ParticipationClient, hub)
      return {
        call: client.participate(),
        close: () => {
          client.close()
        },
      }
    },
    onOpen: (send) => {
      participant.speakThrough(send)
      const round = participant.trainingRound ?? outbox.newestRound ?? 0
      send({ kind: { $case: 'hello', value: { campaign, softwareVersion, round } } })
    },
    onMessage: (assignment) => {
      participant.receive(assignment)
    },
    onRetry: retryLogger(log, 'stream to the hub'),
    signal,
    random,
  })
}
