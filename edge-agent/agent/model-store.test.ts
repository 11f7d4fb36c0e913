import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { KEYS, type Published, publish } from '../testing/published.ts'
import { ModelStore, isObjectName } from './model-store.ts'
import { checkManifest, checkModel } from './verify.ts'

const PROGRAM = fileURLToPath(new URL('../testing/install-and-die.ts', import.meta.url))
const TRAFFIC = { namespace: 'city', name: 'traffic' }
const MORE_STEPS_THAN_THERE_ARE = 100

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function installed(root: string, { manifest, envelope, model }: Published): Promise<void> {
  const file = join(folder, 'downloaded')
  await writeFile(file, model)
  await new ModelStore(root).install(manifest, envelope, file)
}

/** The version that would serve after a start: the first that verifies. */
async function servingVersion(root: string): Promise<number | undefined> {
  const store = new ModelStore(root)
  for (const candidate of await store.candidates(TRAFFIC)) {
    try {
      const envelope = await store.readManifest(candidate)
      const manifest = checkManifest(envelope, { ...TRAFFIC, version: candidate.version }, [KEYS.publicKey])
      checkModel(manifest, await store.readModel(candidate, manifest))
      return candidate.version
    } catch {
      continue
    }
  }
  return undefined
}

/** Runs the installation of a version in a process that is killed at this step. */
async function installAndDie(
  root: string,
  { manifest, envelope, model }: Published,
  step: number,
): Promise<string> {
  const [modelFile, envelopeFile] = [join(folder, 'model'), join(folder, 'envelope')]
  await writeFile(modelFile, model)
  await writeFile(envelopeFile, envelope)
  const given = [PROGRAM, root, modelFile, envelopeFile, JSON.stringify(manifest), String(step)]
  const { signal, stdout } = spawnSync(process.execPath, given, { encoding: 'utf8' })
  return signal ?? stdout
}

describe('an installation that is killed', () => {
  it('leaves the old version or the new one, whole, whatever the step', async () => {
    const before = join(folder, 'before')
    for (const version of [1, 2]) await installed(before, publish({ version }))
    const third = publish({ version: 3 })
    const served: (number | undefined)[] = []
    for (let step = 1; step < MORE_STEPS_THAN_THERE_ARE; step++) {
      const root = join(folder, `killed-${step}`)
      await cp(before, root, { recursive: true })
      const end = await installAndDie(root, third, step)
      served.push(await servingVersion(root))
      if (end !== 'SIGKILL') {
        expect(end).toBe(`installed in ${step - 1} steps`)
        break
      }
      expect(await installAndDie(root, third, MORE_STEPS_THAN_THERE_ARE)).toContain('installed')
      expect(await servingVersion(root), `after another start and another try, step ${step}`).toBe(3)
    }
    expect(served.length).toBeGreaterThan(10)
    expect(served).toEqual([...served].sort())
    expect(new Set(served)).toEqual(new Set([2, 3]))
  }, 120_000)
})

describe('names', () => {
  it.each(['..', '.', 'a/b', '../a', '', 'A', 'a'.repeat(254), '-a', 'a\0'])(
    '%j is not one of a folder',
    (name) => {
      expect(isObjectName(name)).toBe(false)
    },
  )

  it.each(['a', 'traffic-2', 'a.b', 'a'.repeat(253)])('%s is one', (name) => {
    expect(isObjectName(name)).toBe(true)
  })

  it('outside of Kubernetes never reach the disk', async () => {
    const root = join(folder, 'models')
    const { manifest, envelope } = publish({ namespace: '..' })
    await expect(new ModelStore(root).install(manifest, envelope, 'model')).rejects.toThrow(
      'not a Kubernetes object name',
    )
    await expect(new ModelStore(root).remove({ namespace: '..', name: 'x' })).rejects.toThrow(
      'not a Kubernetes object name',
    )
    expect(await readdir(folder)).toEqual([])
  })
})
