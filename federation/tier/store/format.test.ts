import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkVolumeFormat, VOLUME_FORMAT } from './format.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-format-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

const campaign = async (): Promise<unknown> => mkdir(join(directory, 'campaigns', 'uid'), { recursive: true })
const marked = async (format: number): Promise<void> =>
  writeFile(join(directory, 'format.json'), JSON.stringify({ format }))

describe('the format of a volume', () => {
  it.each([
    { name: 'an empty volume', prepare: async () => Promise.resolve() },
    {
      name: 'models of an earlier version',
      prepare: async () => mkdir(join(directory, 'models', 'uid'), { recursive: true }),
    },
    {
      name: 'campaigns of this version',
      prepare: async () => Promise.all([campaign(), marked(VOLUME_FORMAT)]),
    },
  ])('lets a hub go on with $name', async ({ prepare }) => {
    await prepare()
    await checkVolumeFormat(directory)
    expect(JSON.parse(await readFile(join(directory, 'format.json'), 'utf8'))).toEqual({
      format: VOLUME_FORMAT,
    })
  })

  it.each([
    { name: 'campaigns from before formats were marked', prepare: campaign, said: '1 campaigns in format 1' },
    {
      name: 'a later format',
      prepare: async () => marked(VOLUME_FORMAT + 1),
      said: `in format ${VOLUME_FORMAT + 1}`,
    },
  ])('refuses $name, and says what to do', async ({ prepare, said }) => {
    await prepare()
    await expect(checkVolumeFormat(directory)).rejects.toThrow(said)
    await expect(checkVolumeFormat(directory)).rejects.toThrow(/remove the folder campaigns/)
  })
})
