// The edge side's one program: `train` in training pods, `agent` in the DaemonSet. This file alone reads the environment,
// randomness and signals, and decides the exit status. The training and inference threads start from it too.
import { isMainThread } from 'node:worker_threads'

import { Command } from 'commander'
import { pino } from 'pino'

import { type HubEndpoint, tokenFromFile } from '#federation/wire/endpoint.ts'

import packageDescription from '../package.json' with { type: 'json' }
import { SettingsError, TrainSettings, readSettings } from './environment.ts'
import './train/thread.ts'
import { runTraining } from './train/train.ts'

const EXIT_SETTINGS = 2
const DEFAULT_TOKEN_FILE = '/var/run/secrets/tributary/token'

const log = pino({ name: 'tributary-edge' })

function hubEndpoint(
  settings: Pick<TrainSettings, 'TRIBUTARY_HUB_ADDRESS' | 'TRIBUTARY_HUB_CA'>,
  tokenFile: string,
): HubEndpoint {
  const { TRIBUTARY_HUB_ADDRESS: address, TRIBUTARY_HUB_CA: authority } = settings
  return { ...address, authority, readToken: tokenFromFile(tokenFile) }
}

/** Aborted by SIGTERM and SIGINT. */
function terminationSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      controller.abort(new Error(`received ${name}`))
    })
  }
  return controller.signal
}

/** Ends the process with status 0 when the command is done or told to stop; anything else is an error. */
async function run(command: (signal: AbortSignal) => Promise<unknown>): Promise<never> {
  const signal = terminationSignal()
  try {
    const outcome = await command(signal)
    log.info({ outcome }, 'finished')
    process.exit(0)
  } catch (error) {
    if (signal.aborted) {
      log.info({ reason: String(signal.reason) }, 'stopped')
      process.exit(0)
    }
    log.fatal(error instanceof SettingsError ? error.message : error)
    process.exit(error instanceof SettingsError ? EXIT_SETTINGS : 1)
  }
}

interface TrainFlags {
  tokenFile: string
  dataFolder: string
  workFolder: string
}

async function train(flags: TrainFlags, signal: AbortSignal): Promise<string> {
  const settings = readSettings(TrainSettings, process.env)
  return await runTraining({
    hub: hubEndpoint(settings, flags.tokenFile),
    campaign: settings.TRIBUTARY_CAMPAIGN,
    node: settings.TRIBUTARY_NODE_NAME,
    dataset: settings.TRIBUTARY_DATASET,
    dataFolder: flags.dataFolder,
    workFolder: flags.workFolder,
    threadEntry: new URL(import.meta.url),
    softwareVersion: packageDescription.version,
    log,
    random: Math.random,
    signal,
  })
}

function program(): Command {
  const edge = new Command('tributary-edge').version(packageDescription.version)
  edge
    .command('train')
    .description("train on this node's data for one campaign, then exit")
    .option('--token-file <path>', "the pod's token for the hub, read anew for each call", DEFAULT_TOKEN_FILE)
    .option('--data-folder <path>', 'folder that the data set lies in', '/data')
    .option('--work-folder <path>', 'folder for downloads and the finished update', '/work')
    .action(async (flags: TrainFlags) => run(async (signal) => await train(flags, signal)))
  return edge
}

if (isMainThread) await program().parseAsync()
