// Finished updates that the hub has not answered yet. An update is found again after a restart with the same work
// folder, so that it is sent and not trained again. Only the newest is kept: when a node
// has trained again, the hub has given the training before it up.
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { digestOfFile } from '#federation/wire/digest.ts'
import { writeDurably } from '#federation/wire/durable.ts'

import { StateVector } from './client-state.ts'

const MAXIMUM_RECORD_BYTES = 64 * 1024
const RECORD = 'update.json'

export const FinishedUpdate = z.strictObject({
  round: z.int().min(1),
  /** Digest of the parameters that it was trained from. */
  parameters: z.string(),
  /** The campaign and the assignment that it answers. */
  key: z.string(),
  /** File name of the update in the outbox's folder. */
  file: z.string().regex(/^[0-9a-z.-]+$/),
  digest: z.string(),
  size: z.int().min(0),
  samples: z.int().min(1),
  steps: z.int().min(1),
  loss: z.number(),
  initialLoss: z.number().optional(),
  /** What the node keeps once the update is accepted. */
  state: z.array(StateVector).max(16),
})
export type FinishedUpdate = z.infer<typeof FinishedUpdate>

export class Outbox {
  readonly folder: string
  #newestRound: number | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    this.#newestRound = (await this.newest())?.round
  }

  /** The round of the update that was finished last. */
  get newestRound(): number | undefined {
    return this.#newestRound
  }

  /** The finished update for this key, if there is one and its bytes are whole. */
  async find(key: string): Promise<FinishedUpdate | undefined> {
    const record = await this.newest()
    if (record?.key !== key) return undefined
    const digest = await digestOfFile(this.path(record)).catch(() => undefined)
    return digest === record.digest ? record : undefined
  }

  /** Called once the update's file is written durably; from here on it will be found. */
  async put(update: FinishedUpdate): Promise<void> {
    await writeDurably(this.folder, RECORD, Buffer.from(JSON.stringify(update)))
    this.#newestRound = update.round
    await this.#removeOthers(update.file)
  }

  path(update: FinishedUpdate): string {
    return join(this.folder, update.file)
  }

  /** The update that was finished last, whatever it answers and whatever became of its bytes. */
  async newest(): Promise<FinishedUpdate | undefined> {
    const path = join(this.folder, RECORD)
    try {
      if ((await stat(path)).size > MAXIMUM_RECORD_BYTES) return undefined
      return FinishedUpdate.parse(JSON.parse(await readFile(path, 'utf8')))
    } catch {
      return undefined
    }
  }

  async #removeOthers(kept: string): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (name !== kept && name !== RECORD) await rm(join(this.folder, name), { force: true })
    }
  }
}
