// What a node keeps from one round of a campaign to the next, for strategies with a memory on the nodes: vectors of float32
// in files. They are replaced together, in one step, by those that belong to an update which the hub has accepted; an
// update that never counted leaves them as they were, so training after a crash begins from the same state.
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { digestOfFile } from '#federation/wire/digest.ts'
import { writeDurably } from '#federation/wire/durable.ts'

const MAXIMUM_RECORD_BYTES = 64 * 1024
const RECORD = 'state.json'

/** A vector that is written durably in the state's folder. */
export const StateVector = z.strictObject({
  name: z.string().min(1).max(64),
  file: z.string().regex(/^[0-9a-zA-Z.-]+$/),
  digest: z.string(),
})
export type StateVector = z.infer<typeof StateVector>

const StateRecord = z.strictObject({
  campaign: z.string(),
  /** Digest of the accepted update that the vectors belong to. */
  update: z.string(),
  /** Round that it was trained in. */
  round: z.int().min(0).default(0),
  vectors: z.array(StateVector).max(16),
})
type StateRecord = z.infer<typeof StateRecord>

export class ClientState {
  readonly folder: string
  readonly #campaign: string

  constructor(folder: string, campaign: string) {
    this.folder = folder
    this.#campaign = campaign
  }

  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true })
  }

  /** Files of the vectors by their names; none before the first accepted update, or when one of them is damaged. */
  async vectors(): Promise<Record<string, string>> {
    const record = await this.#read()
    const paths: Record<string, string> = {}
    for (const { name, file, digest } of record?.vectors ?? []) {
      const path = join(this.folder, file)
      if ((await digestOfFile(path).catch(() => undefined)) !== digest) return {}
      paths[name] = path
    }
    return paths
  }

  /** Whether the vectors are already those that belong to this update. */
  async follows(update: string): Promise<boolean> {
    return (await this.#read())?.update === update
  }

  /**
   * Called once a parent has accepted the update; from here on its vectors are the state. An update may be accepted more than
   * once, by one parent after another, also after the state has moved on: then it stays where it is.
   */
  async commit(update: string, round: number, vectors: readonly StateVector[]): Promise<void> {
    const before = await this.#read()
    if (before && (before.update === update || before.round > round)) return
    const record: StateRecord = { campaign: this.#campaign, update, round, vectors: [...vectors] }
    await writeDurably(this.folder, RECORD, Buffer.from(JSON.stringify(record)))
    const kept = new Set(vectors.map(({ file }) => file))
    for (const { file } of before?.vectors ?? []) {
      if (!kept.has(file)) await rm(join(this.folder, file), { force: true })
    }
  }

  /**
   * Removes the vectors of updates that were not accepted. Called when none is on its way any more: a node whose updates
   * are always late would else fill its disk.
   */
  async dropPending(): Promise<void> {
    await this.#keepOnly((await this.#read())?.vectors ?? [])
  }

  async #keepOnly(vectors: readonly StateVector[]): Promise<void> {
    const kept = new Set([RECORD, ...vectors.map(({ file }) => file)])
    for (const name of await readdir(this.folder)) {
      if (!kept.has(name)) await rm(join(this.folder, name), { force: true })
    }
  }

  async #read(): Promise<StateRecord | undefined> {
    const path = join(this.folder, RECORD)
    try {
      if ((await stat(path)).size > MAXIMUM_RECORD_BYTES) return undefined
      const record = StateRecord.parse(JSON.parse(await readFile(path, 'utf8')))
      return record.campaign === this.#campaign ? record : undefined
    } catch {
      return undefined
    }
  }
}
