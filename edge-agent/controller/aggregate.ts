// An edge controller: takes the updates of its zone as the hub would, with the hub's code, and sends one sum a round to its parent. It
// serves those below it on a port of its node, from its own disk, also while its parent cannot be reached. It ends when it is told
// to, or for good when another controller has taken over.
import { Registry, collectDefaultMetrics } from 'prom-client'

import { type HealthServer, startHealthServer } from '#federation/tier/serving/health.ts'
import type { MuxServer } from '#federation/tier/serving/server.ts'
import { makeDirectory, removeTemporaryFiles } from '#federation/tier/store/files.ts'
import { checkVolumeFormat } from '#federation/tier/store/format.ts'
import { formatHubAddress } from '#federation/wire/endpoint.ts'

import { Controller } from './controller.ts'
import { lastPort, rememberPort } from './last-port.ts'
import type { AggregateOptions } from './options.ts'
import { ownCertificate } from './own-certificate.ts'
import { ParentLink } from './parent-link.ts'
import { TierMemory } from './tier-memory.ts'

/** Resolves when the campaign is over or another controller has taken over, with a sentence about it; rejects with the signal's reason. */
export async function runAggregation(options: AggregateOptions): Promise<string> {
  const { stateFolder, log, clock, signal } = options
  await makeDirectory(stateFolder)
  await removeTemporaryFiles(stateFolder)
  await checkVolumeFormat(stateFolder)
  const { certificate, key } = await ownCertificate(stateFolder, clock.now())
  const memory = await TierMemory.open(stateFolder)
  const over = new AbortController()
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const done = Promise.withResolvers<string>()
  const ended = AbortSignal.any([signal, over.signal])
  const parts = {
    ...options,
    memory,
    registry,
    signal: ended,
    onFenced: done.resolve,
    onFinished: done.resolve,
  }
  const controller = await Controller.open(parts, { certificate, key })
  let server: MuxServer | undefined
  let health: HealthServer | undefined
  try {
    server = await listen(controller, options)
    health = await startHealth(options, registry, controller)
    const address = formatHubAddress({ host: options.nodeAddress, port: server.port })
    log.info({ address, tier: options.tier }, 'edge controller is serving')
    const link = linkOf({ ...options, signal: ended }, { address, certificate })
    const following = controller.follow(link)
    return await Promise.race([done.promise, following])
  } finally {
    over.abort(new Error('the controller stops'))
    await controller.stop()
    await server?.close()
    await health?.close()
  }
}

function linkOf(
  { campaign, tier, softwareVersion, ...options }: AggregateOptions,
  introduction: { address: string; certificate: string },
): ParentLink {
  const hello = { campaign, tier, softwareVersion, ...introduction }
  return new ParentLink({ ...options, hello })
}

async function listen(
  controller: Controller,
  { port, stateFolder, log }: AggregateOptions,
): Promise<MuxServer> {
  const before = port === 0 ? await lastPort(stateFolder) : undefined
  const server = await controller.listen(before ?? port).catch(async (error: unknown) => {
    if (before === undefined) throw error
    log.warn({ port: before, error: String(error) }, 'the port of the last time is taken')
    return await controller.listen(0)
  })
  await rememberPort(stateFolder, server.port)
  return server
}

async function startHealth(
  { healthPort }: AggregateOptions,
  registry: Registry,
  controller: Controller,
): Promise<HealthServer | undefined> {
  if (healthPort === undefined) return undefined
  const ready = { plan: () => (controller.hasPlan ? undefined : 'the parent has not sent a plan yet') }
  return await startHealthServer({ port: healthPort, host: '127.0.0.1', registry, ready })
}
