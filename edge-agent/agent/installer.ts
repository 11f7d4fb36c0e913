// Brings the models on this node to what is wanted: fetch, verify, load, try, write down, switch. The order matters:
// nothing is loaded before it is verified, and nothing answers before it is on disk, so that a restart finds it again.
// Whatever fails, the version that is loaded goes on answering.
import { type KeyObject } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { Logger } from 'pino'

import { MAXIMUM_ENVELOPE_BYTES } from '#federation/artefact/dsse.ts'
import type { ModelVersionManifest } from '#federation/artefact/manifest.ts'
import { digestOf } from '#federation/wire/digest.ts'
import { type BlobReference, DownloadRefused } from '#federation/wire/download.ts'
import type { Parent } from '#federation/wire/generated/tributary.ts'
import { MAXIMUM_BLOB_BYTES } from '#federation/wire/names.ts'

import type { Catalogue, Serving } from './catalogue.ts'
import { type ModelStore, type StoredVersion, readBounded } from './model-store.ts'
import type { ModelThread } from './model-thread.ts'
import { ModelRefused, asModelRefused } from './refusals.ts'
import {
  type ModelIdentity,
  type ModelName,
  type VerifiedModel,
  checkManifest,
  checkModel,
} from './verify.ts'

export interface WantedModel extends ModelIdentity {
  readonly manifest: BlobReference
  /** An edge controller that has the bytes, too. */
  readonly mirror?: Parent | undefined
}

export interface InstallerContext {
  readonly store: ModelStore
  readonly catalogue: Catalogue
  readonly keys: readonly KeyObject[]
  readonly downloadFolder: string
  /** Fetches a blob into the download folder, from the mirror if it can; the path of the verified file. */
  readonly download: (blob: BlobReference, mirror: Parent | undefined, signal: AbortSignal) => Promise<string>
  readonly load: (bytes: Uint8Array) => Promise<ModelThread>
  readonly log: Logger
}

/** Serves what is installed already, with no hub in reach. Verifies everything as if it had just arrived. */
export async function restoreModels(context: InstallerContext): Promise<void> {
  await mkdir(context.downloadFolder, { recursive: true })
  for (const model of await context.store.models()) {
    if (!(await restoreModel(context, model))) context.log.error(model, 'no installed version can be served')
  }
}

/** Loads models again whose thread has died. */
export async function reviveModels(context: InstallerContext): Promise<void> {
  for (const { manifest, thread } of context.catalogue.all()) {
    if (!thread.alive) await restoreModel(context, manifest)
  }
}

async function restoreModel(context: InstallerContext, { namespace, name }: ModelName): Promise<boolean> {
  const model = { namespace, name }
  for (const candidate of await context.store.candidates(model)) {
    if (await restore(context, model, candidate)) return true
  }
  return false
}

async function restore(
  context: InstallerContext,
  model: ModelName,
  candidate: StoredVersion,
): Promise<boolean> {
  const { store, keys, catalogue, log } = context
  const identity = { ...model, version: candidate.version }
  try {
    const envelope = await store.readManifest(candidate)
    const manifest = checkManifest(envelope, identity, keys)
    const verified = checkModel(manifest, await store.readModel(candidate, manifest))
    await catalogue.serve(await loaded(context, verified, envelope))?.thread.terminate()
    log.info(identity, 'installed model serves')
    return true
  } catch (error) {
    const { reason, message } = asModelRefused(error)
    log.error({ ...identity, reason, detail: message }, 'installed model refused')
    return false
  }
}

/**
 * One pass over everything that is wanted. Models that are not wanted go.
 * @returns whether every wanted model is loaded
 */
export async function installModels(
  context: InstallerContext,
  wanted: readonly WantedModel[],
  signal: AbortSignal,
): Promise<boolean> {
  const { catalogue, store, log } = context
  for (const model of [...catalogue.names(), ...(await store.models())]) {
    if (wanted.some(({ namespace, name }) => namespace === model.namespace && name === model.name)) continue
    await catalogue.remove(model)?.thread.retire()
    await store.remove(model)
    log.info(model, 'model no longer wanted')
  }
  let complete = true
  for (const model of wanted) complete = (await ensure(context, model, signal)) && complete
  if (complete) await removeDownloads(context.downloadFolder)
  return complete
}

async function ensure(context: InstallerContext, model: WantedModel, signal: AbortSignal): Promise<boolean> {
  const { catalogue, log } = context
  const { namespace, name, version } = model
  try {
    signal.throwIfAborted()
    const serving = catalogue.serving(model)
    if (serving?.thread.alive && isSame(serving, model)) {
      catalogue.settle(model)
      return true
    }
    const before = await install(context, model, signal)
    log.info({ namespace, name, version, before: before?.manifest.version }, 'model version serves')
    await before?.thread.retire()
    return true
  } catch (error) {
    signal.throwIfAborted()
    const refusal = asModelRefused(error)
    catalogue.refuse({ namespace, name, version }, refusal)
    log.error(
      { namespace, name, version, reason: refusal.reason, detail: refusal.message },
      'model version refused',
    )
    return false
  }
}

async function install(
  context: InstallerContext,
  model: WantedModel,
  signal: AbortSignal,
): Promise<Serving | undefined> {
  const { catalogue, store, keys } = context
  const from = { mirror: model.mirror, signal }
  const manifestFile = await fetch(context, model.manifest, MAXIMUM_ENVELOPE_BYTES, from)
  const envelope = await readBounded(manifestFile, MAXIMUM_ENVELOPE_BYTES)
  const manifest = checkManifest(envelope, model, keys)
  refuseStepBack(catalogue.serving(model)?.manifest, manifest)
  const modelFile = await fetch(context, manifest.model, MAXIMUM_BLOB_BYTES, from)
  const verified = checkModel(manifest, await readBounded(modelFile, manifest.model.size))
  const serving = await loaded(context, verified, envelope)
  try {
    signal.throwIfAborted()
    await store.install(manifest, envelope, modelFile)
  } catch (error) {
    await serving.thread.terminate()
    throw error
  }
  return catalogue.serve(serving)
}

async function loaded(
  context: InstallerContext,
  { manifest, bytes }: VerifiedModel,
  envelope: Uint8Array,
): Promise<Serving> {
  try {
    const thread = await context.load(bytes)
    return { manifest, manifestDigest: digestOf(envelope), thread }
  } catch (error) {
    throw new ModelRefused('ModelUnusable', error instanceof Error ? error.message : String(error))
  }
}

async function fetch(
  context: InstallerContext,
  blob: BlobReference,
  maximumBytes: number,
  { mirror, signal }: { mirror: Parent | undefined; signal: AbortSignal },
): Promise<string> {
  if (blob.size > maximumBytes) {
    const sizes = `blob ${blob.digest} is announced with ${blob.size} bytes, expected at most ${maximumBytes}`
    throw new ModelRefused('DownloadFailed', sizes)
  }
  try {
    return await context.download(blob, mirror, signal)
  } catch (error) {
    signal.throwIfAborted()
    const message = error instanceof Error ? error.message : String(error)
    const disk = error instanceof DownloadRefused && error.reason === 'DiskUnusable'
    throw new ModelRefused(disk ? 'DiskUnusable' : 'DownloadFailed', message)
  }
}

function isSame(serving: Serving, model: WantedModel): boolean {
  return serving.manifest.version === model.version && serving.manifestDigest === model.manifest.digest
}

/**
 * Versions of a model only go up and never change. An EdgeModel that was deleted and made again, while this node was out
 * of reach, starts again at version 1: its versions were signed later than the ones it replaces, and so are taken.
 */
function refuseStepBack(loaded: ModelVersionManifest | undefined, wanted: ModelVersionManifest): void {
  if (!loaded || wanted.version > loaded.version || Date.parse(wanted.created) > Date.parse(loaded.created))
    return
  if (wanted.version < loaded.version) {
    const versions = `version ${wanted.version} is wanted, version ${loaded.version} is loaded and was made later`
    throw new ModelRefused('VersionRollback', versions)
  }
  if (wanted.model.digest === loaded.model.digest) return
  const digests = `digest ${loaded.model.digest}, and the manifest signs ${wanted.model.digest}`
  throw new ModelRefused('VersionConflict', `version ${wanted.version} is loaded with ${digests}`)
}

/** What was downloaded and is installed now, or is wanted no more. */
async function removeDownloads(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, basename(name)), { force: true })
}
