import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SpareFiles } from '../store/spares.ts'
import { Round } from './round.ts'

const SIZE = 100_000
const DIGEST = `sha256:${'a'.repeat(64)}`
const FACTS = { digest: DIGEST, size: SIZE, samples: 1, steps: 1, loss: 0, acceptedMs: 0 }

let directory: string
let round: Round
let spares: SpareFiles
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-round-'))
  spares = new SpareFiles(directory)
  await spares.open()
  round = await Round.create(join(directory, 'round'), {
    ...{ round: 1, attempt: 1, participants: ['a', 'b'], minimumUpdates: 1, openedMs: 0, deadlineMs: 1 },
    ...{ base: { digest: DIGEST, size: 4 }, state: {}, learningRate: 0.1, population: 2 },
  })
  for (const node of ['a', 'b']) {
    const path = round.uploadPath(node, DIGEST)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, Buffer.alloc(SIZE))
  }
  await round.addUpdate({ participant: 'a', ...FACTS })
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

it('updates that are dropped leave their records, and spare files only of what was accepted', async () => {
  await round.dropUpdateBytes(spares)
  expect(await readdir(round.uploadDirectory('a'))).toEqual(['update.json'])
  expect(await readdir(round.uploadDirectory('b'))).toEqual([])
  expect(await readdir(join(directory, 'spares'))).toHaveLength(1)
})
