import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyManifest } from '#federation/artefact/manifest.ts'
import { putManifest, signAnew } from './manifests.ts'
import { Model } from './model.ts'
import { checkModelPlan } from '#federation/tier/plans.ts'
import { BlobStore } from '#federation/tier/store/blobs.ts'
import { modelPlan } from './testing/story.ts'

const [first, second] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]
const logger = pino({ level: 'silent' })

let directory: string
let blobs: BlobStore
let model: Model
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-manifests-'))
  blobs = new BlobStore(directory)
  await blobs.open()
  model = await Model.create(join(directory, 'model'), checkModelPlan(modelPlan()))
  for (const version of [1, 2]) {
    const origin = version === 1 ? { parentDigest: '', campaign: '', round: 0 } : trained
    const facts = { createdMs: 1_700_000_000_123, metrics: { loss: 0.1 }, participants: 2, samples: 3 }
    const record = { version, digest: `sha256:${'1'.repeat(64)}`, size: 9, ...origin, ...facts }
    const context = { blobs, signingKey: first.privateKey }
    await model.addVersion({ ...record, manifest: await putManifest(context, model.plan, record) })
  }
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

const trained = { parentDigest: `sha256:${'2'.repeat(64)}`, campaign: 'f', round: 4 }

async function signedWith(signingKey: KeyObject): Promise<Model> {
  const loaded = await Model.load(join(directory, 'model'))
  if (!loaded) throw new Error('the model is gone')
  await signAnew([loaded], { blobs, signingKey, logger })
  return loaded
}

async function payloads(of: Model, key: KeyObject): Promise<unknown[]> {
  return Promise.all(
    of.versions.map(async ({ manifest }) => verifyManifest(await blobs.read(manifest.digest), [key])),
  )
}

describe('manifests', () => {
  it('stay as they are under the key that signed them', async () => {
    const before = await readdir(blobs.path('sha256:'))
    expect((await signedWith(first.privateKey)).versions).toEqual(model.versions)
    expect(await readdir(blobs.path('sha256:'))).toEqual(before)
  })

  it('are signed anew by another key, with the same content, for good', async () => {
    const content = await payloads(model, first.publicKey)
    const renewed = await signedWith(second.privateKey)
    expect(await payloads(renewed, second.publicKey)).toEqual(content)
    const again = await signedWith(second.privateKey)
    expect(again.versions).toEqual(renewed.versions)
    expect(again.referencedBlobs()).toHaveLength(4)
  })

  it('are all signed in the end when a crash came between two of them', async () => {
    const [, version] = model.versions
    if (!version) throw new Error('unreachable')
    const manifest = await putManifest({ blobs, signingKey: second.privateKey }, model.plan, version)
    await model.replaceVersion({ ...version, manifest })
    const renewed = await signedWith(second.privateKey)
    expect(await payloads(renewed, second.publicKey)).toHaveLength(2)
    expect(renewed.versions[1]?.manifest).toEqual(manifest)
  })
})
