// An edge controller as a process of its own, for tests that kill it: what `aggregate` runs, with the addresses, tokens and waiting
// times that a test wants. Settings as JSON in the only argument; it logs to stdout.
import { mkdir } from 'node:fs/promises'

import { pino } from 'pino'

import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import type { BackoffOptions } from '#federation/wire/backoff.ts'

import { runAggregation } from '../controller/aggregate.ts'
import { inOwnFolder } from '../folder/own.ts'

export interface ControllerProcessSettings {
  readonly hub: { readonly host: string; readonly port: number; readonly authority: string }
  readonly token: string
  readonly campaign: string
  readonly tier: string
  /** What it says of where it is; it listens on 127.0.0.1, whatever it says. */
  readonly nodeAddress: string
  readonly port: number
  readonly stateFolder: string
  readonly backoff?: BackoffOptions | undefined
}

const settings = JSON.parse(process.argv[2] ?? '') as ControllerProcessSettings
const { hub, token, stateFolder, ...own } = settings
const log = pino()
const { signal } = new AbortController()
await mkdir(stateFolder, { recursive: true })
const outcome = await inOwnFolder(
  stateFolder,
  { log, signal, now: Date.now },
  async () =>
    await runAggregation({
      ...own,
      ...{ stateFolder, host: '127.0.0.1', softwareVersion: 'test', log, signal },
      hub: { ...hub, readToken: async () => await Promise.resolve(token) },
      kernels: loadKernels().kernels,
      clock: { now: Date.now },
      now: () => performance.now(),
      random: Math.random,
    }),
)
log.info({ outcome }, 'finished')
process.exit(0)
