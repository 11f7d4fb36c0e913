// The edge side's one program: `train` in training pods, `agent` in the DaemonSet, `aggregate` in edge controllers. This file alone reads the environment,
// randomness and signals, and decides the exit status. The training and inference threads start from it too. What only one
// of them needs is loaded by that one: a pod that waits for its round holds neither ONNX Runtime nor the agent's server.
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, workerData } from 'node:worker_threads'

import { Command } from 'commander'
import { pino } from 'pino'

import { type HubEndpoint, tokenFromFile } from '#federation/wire/endpoint.ts'

import packageDescription from '../package.json' with { type: 'json' }
import type { ModelThreadSettings } from './agent/model-jobs.ts'
import {
  AggregateSettings,
  AgentSettings,
  CampaignSettings,
  SettingsError,
  TrainSettings,
  readPublicKeys,
  readSettings,
} from './environment.ts'
import type { ShardSettings } from '#federation/training/data-parallel/worker-thread.ts'
import type { ThreadSettings } from './train/jobs.ts'
import type { TrainOptions } from './train/train.ts'

const EXIT_SETTINGS = 2
/** As a shell reports SIGTERM: not a success, so a training pod that a reboot ends is started again. */
const EXIT_STOPPED = 143
/** After a signal, what is under way gets this long to end. */
const GRACE_MS = 2_000
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

/** Ends the process: with status 0 when the command is done, and another one for anything else. */
async function run(command: (signal: AbortSignal) => Promise<unknown>): Promise<never> {
  const signal = terminationSignal()
  try {
    const outcome = await Promise.race([command(signal), graceAfter(signal)])
    log.info({ outcome }, 'finished')
    process.exit(0)
  } catch (error) {
    if (signal.aborted) {
      log.info({ reason: String(signal.reason) }, 'stopped')
      process.exit(EXIT_STOPPED)
    }
    log.fatal(error instanceof SettingsError ? error.message : error)
    process.exit(error instanceof SettingsError ? EXIT_SETTINGS : 1)
  }
}

async function graceAfter(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort')
  await delay(GRACE_MS)
  throw signal.reason
}

interface TrainFlags {
  tokenFile: string
  dataFolder: string
  workFolder: string
}

async function train(flags: TrainFlags, signal: AbortSignal): Promise<string> {
  const settings = readSettings(TrainSettings, process.env)
  const { runTraining } = await import('./train/train.ts')
  const { inOwnFolder } = await import('./folder/own.ts')
  await mkdir(flags.workFolder, { recursive: true })
  const options: TrainOptions = {
    hub: hubEndpoint(settings, flags.tokenFile),
    campaign: settings.TRIBUTARY_CAMPAIGN,
    node: settings.TRIBUTARY_NODE_NAME,
    dataset: settings.TRIBUTARY_DATASET,
    bytesPerSecond: settings.TRIBUTARY_BYTES_PER_SECOND,
    dataFolder: flags.dataFolder,
    workFolder: flags.workFolder,
    threadEntry: new URL(import.meta.url),
    shardEntry: new URL(import.meta.url),
    softwareVersion: packageDescription.version,
    log,
    random: Math.random,
    signal,
  }
  return await inOwnFolder(
    flags.workFolder,
    { log, signal, now: Date.now },
    async () => await runTraining(options),
  )
}

interface PrepareFlags {
  campaignsFolder: string
  owner: string
  keepDays: string
}

async function prepare(flags: PrepareFlags): Promise<string> {
  const { TRIBUTARY_CAMPAIGN: campaign } = readSettings(CampaignSettings, process.env)
  const { prepareFolder } = await import('./folder/prepare.ts')
  const owner = readNumber('--owner', flags.owner, 0xffff_fffe)
  const keepDays = readNumber('--keep-days', flags.keepDays, 36_500)
  const { campaignsFolder } = flags
  return await prepareFolder({ campaignsFolder, campaign, owner, keepDays, now: Date.now(), log })
}

interface AgentFlags {
  tokenFile: string
  stateFolder: string
  port: string
}

async function agent(flags: AgentFlags, signal: AbortSignal): Promise<never> {
  const settings = readSettings(AgentSettings, process.env)
  const { runAgent } = await import('./agent/agent.ts')
  return await runAgent({
    hub: hubEndpoint(settings, flags.tokenFile),
    keys: readPublicKeys(settings.TRIBUTARY_SIGNING_PUBLIC_KEY),
    stateFolder: flags.stateFolder,
    port: readNumber('--port', flags.port, 65_535),
    threadEntry: new URL(import.meta.url),
    softwareVersion: packageDescription.version,
    log,
    random: Math.random,
    signal,
  })
}

interface AggregateFlags {
  tokenFile: string
  stateFolder: string
  healthPort?: string
}

async function aggregate(flags: AggregateFlags, signal: AbortSignal): Promise<string> {
  const settings = readSettings(AggregateSettings, process.env)
  const { runAggregation } = await import('./controller/aggregate.ts')
  const { loadKernels } = await import('#federation/aggregation/native-kernels.ts')
  const { inOwnFolder } = await import('./folder/own.ts')
  const options = {
    hub: hubEndpoint(settings, flags.tokenFile),
    campaign: settings.TRIBUTARY_CAMPAIGN,
    tier: settings.TRIBUTARY_TIER,
    nodeAddress: settings.TRIBUTARY_NODE_ADDRESS,
    port: settings.TRIBUTARY_PORT,
    bytesPerSecond: settings.TRIBUTARY_BYTES_PER_SECOND,
    ...(flags.healthPort !== undefined && {
      healthPort: readNumber('--health-port', flags.healthPort, 65_535),
    }),
    stateFolder: flags.stateFolder,
    softwareVersion: packageDescription.version,
    kernels: loadKernels().kernels,
    log,
    clock: { now: () => Date.now() },
    now: () => performance.now(),
    random: Math.random,
    signal,
  }
  await mkdir(flags.stateFolder, { recursive: true })
  return await inOwnFolder(
    flags.stateFolder,
    { log, signal, now: Date.now },
    async () => await runAggregation(options),
  )
}

function readNumber(flag: string, text: string, maximum: number): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= maximum) return Number(text)
  throw new SettingsError(`${flag} ${text}: expected a number from 0 to ${maximum}`)
}

function program(): Command {
  const edge = new Command('tributary-edge').version(packageDescription.version)
  edge
    .command('train')
    .description("train on this node's data for one campaign, then exit")
    .option('--token-file <path>', "the pod's token for the hub, read anew for each call", DEFAULT_TOKEN_FILE)
    .option('--data-folder <path>', 'folder that the data set lies in', '/data')
    .option(
      '--work-folder <path>',
      'folder for downloads, the finished update and what the strategy keeps',
      '/work',
    )
    .action(async (flags: TrainFlags) => run(async (signal) => await train(flags, signal)))
  edge
    .command('prepare-folder')
    .description("make the campaign's folder on the node before training, as root, and remove unused ones")
    .option('--campaigns-folder <path>', 'folder that holds a folder for each campaign', '/campaigns')
    .requiredOption('--owner <number>', 'user and group that training runs as')
    .option('--keep-days <number>', 'folders of other campaigns that were not used for so long go', '30')
    .action(async (flags: PrepareFlags) => run(async () => await prepare(flags)))
  edge
    .command('agent')
    .description('serve the models that the hub distributes, and go on serving without it')
    .option('--token-file <path>', "the pod's token for the hub, read anew for each call", DEFAULT_TOKEN_FILE)
    .option('--state-folder <path>', 'folder that keeps the models over restarts', '/var/lib/tributary')
    .option('--port <number>', 'port of the Open Inference Protocol, health and metrics', '8000')
    .action(async (flags: AgentFlags) => run(async (signal) => await agent(flags, signal)))
  edge
    .command('aggregate')
    .description("take a zone's updates for one campaign and send their sum to the hub")
    .option('--token-file <path>', "the pod's token for the hub, read anew for each call", DEFAULT_TOKEN_FILE)
    .option('--state-folder <path>', 'folder that keeps all that was accepted', '/var/lib/tributary')
    .option('--health-port <number>', 'port of health and metrics on 127.0.0.1; none unless given')
    .action(async (flags: AggregateFlags) => run(async (signal) => await aggregate(flags, signal)))
  return edge
}

type AnyThreadSettings = ThreadSettings | ShardSettings | ModelThreadSettings

/** What a thread does follows from what it was started with. */
async function serveThread({ role }: AnyThreadSettings): Promise<void> {
  switch (role) {
    case 'trainer':
      await import('./train/thread.ts')
      break
    case 'shard':
      await import('#federation/training/data-parallel/worker-thread.ts')
      break
    default:
      await import('./agent/thread.ts')
  }
}

if (isMainThread) await program().parseAsync()
else await serveThread(workerData as AnyThreadSettings)
