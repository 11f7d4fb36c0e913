// Real ONNX Runtime sessions and real signatures; the hub is a map of blobs.
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { digestHex } from '#federation/wire/digest.ts'

import { KEYS, type PublishOptions, type Published, publish, scalingModel } from '../testing/published.ts'
import { Catalogue } from './catalogue.ts'
import { type InstallerContext, installModels, restoreModels, reviveModels } from './installer.ts'
import { ModelStore } from './model-store.ts'
import { ModelThread } from './model-thread.ts'

const ENTRY = new URL('./thread.ts', import.meta.url)
const TRAFFIC = { namespace: 'city', name: 'traffic' }
const never = new AbortController().signal

let folder: string
let blobs: Map<string, Uint8Array>
let context: InstallerContext
let contexts: InstallerContext[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'installer-'))
  blobs = new Map()
  contexts = []
  context = await start()
})

afterEach(async () => {
  for (const { catalogue } of contexts) await stopThreads(catalogue)
  await rm(folder, { recursive: true })
})

async function stopThreads(catalogue: Catalogue): Promise<void> {
  for (const { thread } of catalogue.all()) await thread.terminate()
}

/** The agent after a start, with what its disk holds. */
async function start(keys = [KEYS.publicKey]): Promise<InstallerContext> {
  const downloadFolder = join(folder, 'downloads')
  const started: InstallerContext = {
    store: new ModelStore(join(folder, 'models')),
    catalogue: new Catalogue(),
    keys,
    downloadFolder,
    download: async ({ digest }) => {
      const bytes = blobs.get(digest)
      if (!bytes) throw new Error(`the hub has no ${digest}`)
      await mkdir(downloadFolder, { recursive: true })
      const path = join(downloadFolder, digestHex(digest))
      await writeFile(path, bytes)
      return path
    },
    load: async (bytes) => await ModelThread.load(ENTRY, bytes),
    log: pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' }),
  }
  contexts.push(started)
  await restoreModels(started)
  return started
}

function offer(options: PublishOptions = {}): Published {
  const published = publish(options)
  blobs.set(published.wanted.manifest.digest, published.envelope)
  blobs.set(published.manifest.model.digest, published.model)
  return published
}

async function install(...published: Published[]): Promise<boolean> {
  return await installModels(
    context,
    published.map(({ wanted }) => wanted),
    never,
  )
}

/** The factor of the version that answers. */
async function answer(from: InstallerContext = context, model = TRAFFIC): Promise<number | undefined> {
  const thread = from.catalogue.serving(model)?.thread
  const input = { name: 'x', type: 'float32', shape: [1, 3], data: Float32Array.of(1, 1, 1) } as const
  const outputs = await thread?.run([input], [])
  return (outputs?.[0]?.data as Float32Array | undefined)?.[0]
}

const versionFolders = async () =>
  (await readdir(join(folder, 'models/city/traffic'))).filter((name) => name !== 'current').sort()

describe('a wanted model', () => {
  it('answers, and is reported with the digest that is loaded', async () => {
    const published = offer({ version: 3 })
    expect(await install(published)).toBe(true)
    expect(await answer()).toBe(3)
    expect(context.catalogue.report()).toEqual([
      {
        ...TRAFFIC,
        version: 3,
        digest: published.manifest.model.digest,
        failureReason: '',
        failureMessage: '',
        failedVersion: 0,
      },
    ])
    expect(await readdir(join(folder, 'downloads'))).toEqual([])
  })

  it('answers after a restart without a hub', async () => {
    await install(offer({ version: 2 }))
    blobs.clear()
    expect(await answer(await start())).toBe(2)
  })

  it('is replaced while requests go on, each answered by the one or the other', async () => {
    const next = offer({ version: 2 })
    await install(offer())
    const installing = install(next).then(() => 'done' as const)
    const answers: (number | undefined)[] = []
    for (;;) {
      answers.push(await answer())
      if ((await Promise.race([installing, Promise.resolve()])) === 'done') break
    }
    answers.push(await answer())
    expect(new Set(answers)).toEqual(new Set([1, 2]))
    expect(answers).toEqual([...answers].sort())
  })

  it('leaves the version before it on disk, and no older one', async () => {
    for (const version of [1, 2, 3]) await install(offer({ version }))
    expect((await versionFolders()).map((name) => name.split('-')[0])).toEqual(['2', '3'])
  })

  it('goes, from memory and disk, when it is wanted no more', async () => {
    await install(offer(), offer({ name: 'other' }))
    await install(offer({ name: 'other' }))
    expect(await answer()).toBeUndefined()
    expect(await readdir(join(folder, 'models/city'))).toEqual(['other'])
    expect(context.catalogue.names()).toEqual([{ namespace: 'city', name: 'other' }])
  })

  it('may be signed with any of the trusted keys', async () => {
    const old = generateKeyPairSync('ed25519')
    context = await start([KEYS.publicKey, old.publicKey])
    expect(await install(offer({ key: old.privateKey }))).toBe(true)
  })

  it('is loaded again when its thread dies, with no hub in reach', async () => {
    await install(offer())
    blobs.clear()
    await stopThreads(context.catalogue)
    expect(context.catalogue.report()).toMatchObject([{ version: 0, digest: '' }])
    await reviveModels(context)
    expect(await answer()).toBe(1)
  })

  const later = { created: '2026-01-02T00:00:00.000Z' }

  it.each([
    { name: 'a lower number', version: 1 },
    { name: 'the same number', version: 5 },
  ])('may begin again with $name after its EdgeModel was made anew', async ({ version }) => {
    await install(offer({ version: 5 }))
    expect(await install(offer({ version, model: scalingModel(7), signed: later }))).toBe(true)
    expect(await answer()).toBe(7)
    expect(await answer(await start())).toBe(7)
  })

  it('is one of several, in several namespaces', async () => {
    await install(offer(), offer({ namespace: 'harbour', version: 5 }))
    expect([await answer(), await answer(context, { namespace: 'harbour', name: 'traffic' })]).toEqual([1, 5])
  })
})

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1
  return copy
}

/** An offer whose blobs the hub, or whoever stands in its place, has changed. */
function changed(published: Published, change: { envelope?: Uint8Array; model?: Uint8Array }): Published {
  if (change.envelope) blobs.set(published.wanted.manifest.digest, change.envelope)
  if (change.model) blobs.set(published.manifest.model.digest, change.model)
  return published
}

const swapped = (envelope: Uint8Array, from: string, to: string): Uint8Array => {
  const { payload, ...rest } = JSON.parse(Buffer.from(envelope).toString()) as { payload: string }
  const changedPayload = Buffer.from(payload, 'base64').toString().replace(from, to)
  return Buffer.from(JSON.stringify({ ...rest, payload: Buffer.from(changedPayload).toString('base64') }))
}

describe('a version that is refused', () => {
  const cases: { name: string; give: () => Published; reason: string; message: RegExp }[] = [
    {
      name: 'a model with one bit changed',
      give: () => {
        const offered = offer({ version: 2 })
        return changed(offered, { model: flip(offered.model, 40) })
      },
      reason: 'DigestMismatch',
      message: /the model has the digest sha256:.*, its manifest says sha256:/,
    },
    {
      name: 'a model that breaks off',
      give: () => {
        const offered = offer({ version: 2 })
        return changed(offered, { model: offered.model.subarray(0, 50) })
      },
      reason: 'DigestMismatch',
      message: /the model has 50 bytes/,
    },
    {
      name: 'a manifest that was changed after signing',
      give: () => {
        const offered = offer({ version: 2 })
        return changed(offered, { envelope: swapped(offered.envelope, '"samples":100', '"samples":999') })
      },
      reason: 'ManifestUntrusted',
      message: /no signature/,
    },
    {
      name: 'a manifest signed with another key',
      give: () => offer({ version: 2, key: generateKeyPairSync('ed25519').privateKey }),
      reason: 'ManifestUntrusted',
      message: /no signature/,
    },
    {
      name: 'a manifest that is no envelope',
      give: () => changed(offer({ version: 2 }), { envelope: Buffer.from('{}') }),
      reason: 'ManifestUntrusted',
      message: /malformed/,
    },
    {
      name: 'the signed manifest of another model',
      give: () => offer({ version: 2, signed: { name: 'parking' } }),
      reason: 'ManifestMismatch',
      message: /name parking, expected traffic/,
    },
    {
      name: 'the signed manifest of another namespace',
      give: () => offer({ version: 2, signed: { namespace: 'harbour' } }),
      reason: 'ManifestMismatch',
      message: /namespace harbour, expected city/,
    },
    {
      name: 'an older version under a newer number',
      give: () => offer({ version: 2, signed: { version: 1 } }),
      reason: 'ManifestMismatch',
      message: /version 1, expected 2/,
    },
    {
      name: 'the loaded version with other bytes',
      give: () => offer({ model: scalingModel(9) }),
      reason: 'VersionConflict',
      message: /version 1 is loaded with digest/,
    },
    {
      name: 'a signed file that is no model',
      give: () => offer({ version: 2, model: Buffer.from('not a model') }),
      reason: 'ModelUnusable',
      message: /./,
    },
    {
      name: 'a version that the hub does not have',
      give: () => publish({ version: 2 }),
      reason: 'DownloadFailed',
      message: /the hub has no sha256/,
    },
    {
      name: 'a manifest of any size',
      give: () => {
        const { wanted, ...rest } = offer({ version: 2 })
        return { ...rest, wanted: { ...wanted, manifest: { ...wanted.manifest, size: 10_000_000 } } }
      },
      reason: 'DownloadFailed',
      message: /announced with 10000000 bytes, expected at most 262144/,
    },
  ]
  it.each(cases)('such as $name, leaves the old one answering', async ({ give, reason, message }) => {
    const first = offer()
    await install(first)
    const before = await versionFolders()
    const offered = give()
    expect(await install(offered)).toBe(false)
    expect(context.catalogue.report()).toMatchObject([
      {
        version: 1,
        digest: first.manifest.model.digest,
        failureReason: reason,
        failedVersion: offered.wanted.version,
      },
    ])
    expect(context.catalogue.report()[0]?.failureMessage).toMatch(message)
    expect(await answer()).toBe(1)
    expect(await versionFolders()).toEqual(before)
    expect(await answer(await start())).toBe(1)
  })

  it('is one below the loaded, also after a restart', async () => {
    await install(offer({ version: 2 }))
    context = await start()
    expect(await install(offer({ version: 1 }))).toBe(false)
    expect(context.catalogue.report()).toMatchObject([
      { version: 2, failureReason: 'VersionRollback', failedVersion: 1 },
    ])
    expect(await answer()).toBe(2)
  })

  it('does not keep others from being installed', async () => {
    expect(
      await install(offer({ model: Buffer.from('not a model') }), offer({ name: 'other', version: 4 })),
    ).toBe(false)
    expect(await answer(context, { namespace: 'city', name: 'other' })).toBe(4)
  })

  it('is forgotten once the right one is loaded', async () => {
    await install(offer({ version: 2, model: Buffer.from('not a model') }))
    await install(offer({ version: 3 }))
    expect(context.catalogue.report()).toMatchObject([{ version: 3, failureReason: '', failedVersion: 0 }])
  })
})

describe('after a start', () => {
  const folderOf = async (version: number) => {
    const name = (await versionFolders()).find((candidate) => candidate.startsWith(`${version}-`))
    return join(folder, 'models/city/traffic', name ?? '')
  }
  const cases: { name: string; spoil: () => Promise<void>; want: number | undefined }[] = [
    {
      name: "the newest version's model was changed",
      spoil: async () => await writeFile(join(await folderOf(2), 'model.onnx'), scalingModel(66)),
      want: 1,
    },
    {
      name: "the newest version's model breaks off",
      spoil: async () => await truncate(join(await folderOf(2), 'model.onnx'), 20),
      want: 1,
    },
    {
      name: "the newest version's manifest is one of another key",
      spoil: async () => {
        const { envelope } = publish({ version: 2, key: generateKeyPairSync('ed25519').privateKey })
        await writeFile(join(await folderOf(2), 'manifest.json'), envelope)
      },
      want: 1,
    },
    {
      name: "another version's manifest lies in the newest one's folder",
      spoil: async () =>
        await writeFile(join(await folderOf(2), 'manifest.json'), publish({ version: 1 }).envelope),
      want: 1,
    },
    {
      name: 'nothing says which version is the current one',
      spoil: async () => await rm(join(folder, 'models/city/traffic/current')),
      want: 2,
    },
    {
      name: 'the current version is said to be one that is not there',
      spoil: async () => await writeFile(join(folder, 'models/city/traffic/current'), '../../etc'),
      want: 2,
    },
    {
      name: 'the current version is the older one',
      spoil: async () => {
        const older = (await folderOf(1)).split('/').at(-1) ?? ''
        await writeFile(join(folder, 'models/city/traffic/current'), older)
      },
      want: 1,
    },
    {
      name: 'every version was changed',
      spoil: async () => {
        for (const version of [1, 2])
          await writeFile(join(await folderOf(version), 'model.onnx'), scalingModel(66))
      },
      want: undefined,
    },
    {
      name: 'files lie where folders should',
      spoil: async () => {
        await writeFile(join(folder, 'models/city/stray'), '')
        await writeFile(join(folder, 'models/stray'), '')
      },
      want: 2,
    },
  ]
  it.each(cases)('a verified version or none answers when $name', async ({ spoil, want }) => {
    for (const version of [1, 2]) await install(offer({ version }))
    await spoil()
    expect(await answer(await start())).toBe(want)
  })

  it('nothing answers that another key signed', async () => {
    await install(offer())
    expect(await answer(await start([generateKeyPairSync('ed25519').publicKey]))).toBeUndefined()
  })
})
