// The agent of one node: serves what is installed at once, then follows the hub. Losing the hub changes nothing for
// those who ask this node for predictions.
import type { KeyObject } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { type ServerType, serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Logger } from 'pino'

import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { HubHttp } from '#federation/wire/http.ts'

import { BlobSource } from './blob-source.ts'
import { Catalogue } from './catalogue.ts'
import { Follower, type FollowerOptions } from './follower.ts'
import { type InstallerContext, installModels, restoreModels, reviveModels } from './installer.ts'
import { AgentMetrics } from './metrics.ts'
import { ModelStore } from './model-store.ts'
import { ModelThread } from './model-thread.ts'
import { openInference } from './open-inference.ts'

export interface AgentOptions {
  readonly hub: HubEndpoint
  readonly keys: readonly KeyObject[]
  /** Keeps models and downloads. */
  readonly stateFolder: string
  readonly port: number
  /** Called once the port is open. */
  readonly onListening?: (port: number) => void
  /** Module that imports thread.ts. */
  readonly threadEntry: URL
  readonly softwareVersion: string
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly signal: AbortSignal
}

const MAXIMUM_BODY_BYTES = 16 * 1024 * 1024
const REVIVE_INTERVAL_MS = 10_000

/** Rejects with the signal's reason, or when the port or the state folder cannot be used. */
export async function runAgent(options: AgentOptions): Promise<never> {
  const { log, signal } = options
  const catalogue = new Catalogue()
  const source = blobSource(options)
  const context = installerContext(options, catalogue, source)
  const revive = repeatedly(async () => await reviveModels(context), options)
  let started = false
  const server = await listen(
    agentApp(options, catalogue, () => started),
    options,
  )
  try {
    await restoreModels(context)
    started = true
    revive.start()
    const install: FollowerOptions['install'] = async (wanted, until) =>
      await installModels(context, wanted, until)
    const { hub, softwareVersion, random } = options
    const follower = new Follower({ hub, catalogue, install, softwareVersion, log, random, signal })
    return await follower.run()
  } finally {
    revive.stop()
    server.close()
    source.destroy()
    await Promise.all(catalogue.all().map(async ({ thread }) => await thread.terminate()))
  }
}

function downloadFolderOf({ stateFolder }: AgentOptions): string {
  return join(stateFolder, 'downloads')
}

function blobSource(options: AgentOptions): BlobSource {
  const { hub, log, random } = options
  const now = () => performance.now()
  const connect = (endpoint: HubEndpoint) => new HubHttp(endpoint)
  return new BlobSource({ hub, connect, folder: downloadFolderOf(options), log, random, now })
}

function installerContext(options: AgentOptions, catalogue: Catalogue, source: BlobSource): InstallerContext {
  const { stateFolder, keys, threadEntry, log } = options
  return {
    store: new ModelStore(join(stateFolder, 'models')),
    catalogue,
    keys,
    downloadFolder: downloadFolderOf(options),
    download: async (blob, mirror, signal) => await source.fetch(blob, mirror, signal),
    load: async (bytes) => await ModelThread.load(threadEntry, bytes),
    log,
  }
}

function agentApp(options: AgentOptions, catalogue: Catalogue, started: () => boolean): Hono {
  const { softwareVersion } = options
  const metrics = new AgentMetrics(catalogue)
  const app = new Hono()
  app.get('/healthz', (c) => c.text('ok'))
  app.get('/metrics', async (c) => c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }))
  const inference = { catalogue, metrics, softwareVersion, started, maximumBodyBytes: MAXIMUM_BODY_BYTES }
  app.route('/', openInference(inference))
  return app
}

async function listen(app: Hono, { port, onListening }: AgentOptions): Promise<ServerType> {
  const serverOptions = { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 60_000 }
  return await new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, port, serverOptions }, (address: AddressInfo) => {
      onListening?.(address.port)
      resolve(server)
    })
    server.once('error', reject)
  })
}

/** Runs a task every so often, never twice at once. */
function repeatedly(task: () => Promise<void>, { log }: AgentOptions) {
  let timer: NodeJS.Timeout | undefined
  let under = false
  const tick = () => {
    if (under) return
    under = true
    task()
      .catch((error: unknown) => log.error({ error: String(error) }, 'looking after the models failed'))
      .finally(() => (under = false))
  }
  return {
    start: () => (timer = setInterval(tick, REVIVE_INTERVAL_MS)),
    stop: () => clearInterval(timer),
  }
}
