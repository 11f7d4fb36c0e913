// Models over real TLS: fetched, refused, published, signed, and told to the agents of the nodes that should serve them.
import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyManifest } from '#federation/artefact/manifest.ts'
import { ModelState_Phase } from '#federation/wire/generated/tributary.ts'
import { call } from './testing/clients.ts'
import { agentToken, operatorToken, tinyModel } from './testing/fakes.ts'
import { MODEL } from '#federation/tier/testing/plans.ts'
import { modelPlan, Story, until } from './testing/story.ts'

let story: Story
beforeEach(async () => {
  story = await Story.begin()
})
afterEach(async () => story.end())

describe('a model', () => {
  it('that cannot be trained is refused by name, for good', async () => {
    story.test.files.set('configmap://bad/model.onnx', Buffer.from('BAD'))
    await story.applyModel(modelPlan({ storageUri: 'configmap://bad/model.onnx' }))
    await until(async () => (await story.model()).phase === ModelState_Phase.REFUSED)
    expect(await story.model()).toMatchObject({ message: 'operator Scan has no gradient' })
  })

  it('with another digest than the manifest says is refused, naming both', async () => {
    const digest = `sha256:${'0'.repeat(64)}`
    await story.applyModel(modelPlan({ digest }))
    await until(async () => (await story.model()).phase === ModelState_Phase.REFUSED)
    expect((await story.model()).message).toMatch(/has digest sha256:.* expected sha256:0000/)
  })

  it('whose source is missing is unreachable, and ready once the source is there', async () => {
    await story.applyModel(modelPlan({ storageUri: 'configmap://later/model.onnx' }))
    await until(async () => (await story.model()).phase === ModelState_Phase.UNREACHABLE)
    story.test.files.set('configmap://later/model.onnx', tinyModel(Float32Array.of(1)))
    await until(async () => (await story.model()).phase === ModelState_Phase.READY)
    expect(await story.model()).toMatchObject({ parameterCount: 1, versions: [{ version: 1 }] })
  })

  it('is gone with all its bytes when it is deleted', async () => {
    await story.modelReady()
    const [version] = (await story.model()).versions
    const { stream, desired } = story.follow('a')
    await until(() => desired.at(-1)?.models.length === 1)
    const remove = story.clients.control.deleteModel.bind(story.clients.control)
    await call(remove, { uid: MODEL }, operatorToken)
    expect((await story.model()).phase).toBe(ModelState_Phase.UNKNOWN)
    expect((await story.blob(version?.digest ?? '')).status).toBe(404)
    await until(() => desired.at(-1)?.models.length === 0)
    stream.cancel()
  })

  it('is for the nodes that should serve it only', async () => {
    await story.modelReady()
    const { stream, desired } = story.follow('elsewhere')
    await until(() => desired.length > 0)
    expect(desired).toEqual([{ models: [] }])
    await story.applyModel(modelPlan({ servingNodes: ['elsewhere'] }))
    await until(() => desired.at(-1)?.models[0]?.version === 1)
    stream.cancel()
  })

  it('counts agents by what they have loaded', async () => {
    await story.modelReady()
    const { stream } = story.follow('a')
    const loaded = { failureReason: '', failureMessage: '', failedVersion: 0 }
    const served = {
      namespace: 'city',
      name: 'traffic',
      version: 1,
      digest: `sha256:${'0'.repeat(64)}`,
      ...loaded,
    }
    stream.write({ softwareVersion: 'test', models: [served] })
    await until(async () => (await story.model()).agents.length > 0)
    expect((await story.model()).agents).toMatchObject([{ node: 'a', version: 1, connected: true }])
    stream.cancel()
    await until(async () => (await story.model()).agents[0]?.connected === false)
  })
})

describe('another signing key', () => {
  it('signs what was published before the hub serves again', async () => {
    const changes = { signingKey: generateKeyPairSync('ed25519').privateKey }
    const rotated = await Story.begin(changes)
    try {
      await rotated.modelReady()
      const keys = generateKeyPairSync('ed25519')
      changes.signingKey = keys.privateKey
      await rotated.restart()
      const { desired } = rotated.follow('a')
      await until(() => desired.length > 0)
      const digest = desired[0]?.models[0]?.manifest?.digest ?? ''
      const envelope = await rotated.blob(digest, agentToken('a'))
      expect(verifyManifest(envelope.body, [keys.publicKey])).toMatchObject({ name: 'traffic', version: 1 })
    } finally {
      await rotated.end()
    }
  })
})

describe('a hub on an empty volume', () => {
  it('has agents keep what they serve until the operator had time to apply its models', async () => {
    const fresh = await Story.begin({ fleetHoldMs: 2_000 })
    try {
      const before = fresh.follow('a', ['traffic', 'noise'])
      const blank = fresh.follow('b', [])
      await until(() => blank.desired.length === 1)
      await fresh.modelReady()
      await until(() => blank.desired.at(-1)?.models.length === 1)
      expect(before.desired).toEqual([])
      await until(() => before.desired.length > 0)
      expect(before.desired[0]?.models.map(({ name }) => name)).toEqual(['traffic'])
      await fresh.restart()
      const after = fresh.follow('a', ['noise'])
      await until(() => after.desired.at(-1)?.models.length === 1)
    } finally {
      await fresh.end()
    }
  })
})

describe('an agent whose report cannot be true', () => {
  it('is told which field is wrong, and nothing of it is kept', async () => {
    await story.modelReady()
    const { stream } = story.follow('a')
    const ended = new Promise<unknown>((resolve) => stream.once('error', resolve))
    const loaded = { failureReason: '', failureMessage: '', failedVersion: 0 }
    const served = { namespace: 'city', name: 'traffic', version: 1, ...loaded }
    stream.write({ softwareVersion: 'test', models: [{ ...served, digest: 'x'.repeat(3_000_000) }] })
    const details = expect.stringContaining('models.0.digest') as string
    expect(await ended).toMatchObject({ code: 3, details })
    expect((await story.model()).agents).toEqual([])
  })
})
