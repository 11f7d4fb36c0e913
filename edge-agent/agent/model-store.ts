// Installed model versions on the node's disk, so that a node without a cloud serves after a restart.
//   <root>/<namespace>/<name>/<version>-<16 hex>/{manifest.json,model.onnx}
//   <root>/<namespace>/<name>/current      the folder that serves, replaced by renaming
// A crash at any point leaves `current` naming the old folder or the new one, both whole. Nothing read here is trusted:
// the caller verifies it as if it had just arrived.
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { MAXIMUM_ENVELOPE_BYTES } from '#federation/artefact/dsse.ts'
import type { ModelVersionManifest } from '#federation/artefact/manifest.ts'
import { digestHex } from '#federation/wire/digest.ts'
import { syncFolder, writeDurably } from '#federation/wire/durable.ts'
import { MAXIMUM_BLOB_BYTES } from '#federation/wire/names.ts'

import type { ModelName } from './verify.ts'

/** Kubernetes names of namespaces and objects: nothing that could leave the folder. */
const OBJECT_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const VERSION_FOLDER = /^(\d{1,10})-[0-9a-f]{16}$/
const MANIFEST = 'manifest.json'
const MODEL = 'model.onnx'
const CURRENT = 'current'

export function isObjectName(text: string): boolean {
  return OBJECT_NAME.test(text)
}

export interface StoredVersion {
  readonly version: number
  readonly folder: string
}

export class ModelStore {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /** Every model that has a folder. */
  async models(): Promise<ModelName[]> {
    const models: ModelName[] = []
    for (const namespace of await namesIn(this.#root)) {
      for (const name of await namesIn(join(this.#root, namespace))) models.push({ namespace, name })
    }
    return models
  }

  /** The versions to try when the agent starts: the current one first, then the others, newest first. */
  async candidates(model: ModelName): Promise<StoredVersion[]> {
    const folder = this.#folder(model)
    const current = await this.#current(model)
    const versions = await versionsIn(folder)
    return versions.sort((a, b) => rank(b, current) - rank(a, current) || b.version - a.version)
  }

  async readManifest({ folder }: StoredVersion): Promise<Uint8Array> {
    return await readBounded(join(folder, MANIFEST), MAXIMUM_ENVELOPE_BYTES)
  }

  async readModel({ folder }: StoredVersion, manifest: ModelVersionManifest): Promise<Uint8Array> {
    return await readBounded(join(folder, MODEL), Math.min(manifest.model.size, MAXIMUM_BLOB_BYTES))
  }

  /** Makes this version the current one. @param modelFile is moved into the store */
  async install(manifest: ModelVersionManifest, envelope: Uint8Array, modelFile: string): Promise<void> {
    const folder = this.#folder(manifest)
    const before = await this.#current(manifest)
    const name = `${manifest.version}-${digestHex(manifest.model.digest).slice(0, 16)}`
    const versionFolder = join(folder, name)
    await mkdir(versionFolder, { recursive: true })
    await writeDurably(versionFolder, MANIFEST, envelope)
    await rename(modelFile, join(versionFolder, MODEL))
    for (const made of [versionFolder, folder, dirname(folder), this.#root]) await syncFolder(made)
    await writeDurably(folder, CURRENT, Buffer.from(name))
    await this.#prune(folder, [name, before])
  }

  async remove(model: ModelName): Promise<void> {
    await rm(this.#folder(model), { recursive: true, force: true })
  }

  #folder({ namespace, name }: ModelName): string {
    for (const part of [namespace, name]) {
      if (!isObjectName(part)) throw new Error(`${JSON.stringify(part)} is not a Kubernetes object name`)
    }
    return join(this.#root, namespace, name)
  }

  async #current(model: ModelName): Promise<string | undefined> {
    try {
      return Buffer.from(await readBounded(join(this.#folder(model), CURRENT), 64)).toString('utf8')
    } catch {
      return undefined
    }
  }

  async #prune(folder: string, kept: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(folder)) {
      if (VERSION_FOLDER.test(name) && !kept.includes(name))
        await rm(join(folder, name), { recursive: true, force: true })
    }
  }
}

function rank({ folder }: StoredVersion, current: string | undefined): number {
  return current !== undefined && folder.endsWith(`/${current}`) ? 1 : 0
}

async function versionsIn(folder: string): Promise<StoredVersion[]> {
  const names = await namesIn(folder)
  return names.flatMap((name) => {
    const version = VERSION_FOLDER.exec(name)?.[1]
    return version === undefined ? [] : [{ version: Number(version), folder: join(folder, name) }]
  })
}

/** Sub-folders whose name is one that this store gives. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() && isObjectName(entry.name)).map(({ name }) => name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Reads at most this many bytes; a longer file is an error. */
export async function readBounded(path: string, maximum: number): Promise<Uint8Array> {
  await using file = await open(path)
  const { size } = await file.stat()
  if (size > maximum) throw new Error(`${path} has ${size} bytes, expected at most ${maximum}`)
  const bytes = await file.readFile()
  if (bytes.byteLength > maximum) throw new Error(`${path} grew beyond ${maximum} bytes`)
  return bytes
}
