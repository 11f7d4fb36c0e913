// Finished updates of earlier rounds that an edge controller may have accepted and the hub has not settled. Should the controller
// be lost, another parent may ask for such a round again: then the very same bytes are sent, and nothing is trained twice. An
// update is dropped once the hub says that its round is settled.
import { link, mkdir, readFile, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { digestOfFile } from '#federation/wire/digest.ts'
import { writeDurably } from '#federation/wire/durable.ts'

import { FinishedUpdate } from './outbox.ts'

const MAXIMUM_RECORD_BYTES = 64 * 1024
/** A parent that never settles a round does not fill the node's disk. */
const MAXIMUM_KEPT = 8
const RECORD_NAME = /^(\d{1,9})\.json$/

/** An update and where its bytes are. */
export interface StoredUpdate {
  readonly update: FinishedUpdate
  readonly path: string
}

export class UnsettledUpdates {
  readonly #folder: string
  #settledRound = 0
  #tail: Promise<unknown> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
  }

  /** The update trained in this round from these parameters, if it is kept and its bytes are whole. */
  async find(round: number, parameters: string): Promise<StoredUpdate | undefined> {
    const update = await this.#read(round)
    if (update?.parameters !== parameters) return undefined
    const path = this.#path(round)
    const digest = await digestOfFile(path).catch(() => undefined)
    return digest === update.digest ? { update, path } : undefined
  }

  /** Whether an update trained in this round is needed still, as far as is known. */
  wants(round: number): boolean {
    return round > this.#settledRound
  }

  /** Called before another update takes its place in the outbox. Keeping it again changes nothing. */
  async keep({ update, path }: StoredUpdate): Promise<void> {
    await this.#inOrder(async () => {
      const { round } = update
      if (!this.wants(round)) return
      await rm(this.#path(round), { force: true })
      await link(path, this.#path(round))
      await writeDurably(this.#folder, `${round}.json`, Buffer.from(JSON.stringify(update)))
      const kept = await this.#rounds()
      for (const old of kept.slice(0, Math.max(0, kept.length - MAXIMUM_KEPT))) await this.#drop(old)
    })
  }

  /** Updates trained from rounds up to this one are needed no more. */
  async settle(settledRound: number): Promise<void> {
    if (settledRound <= this.#settledRound) return
    this.#settledRound = settledRound
    await this.#inOrder(async () => {
      for (const round of await this.#rounds()) if (round <= settledRound) await this.#drop(round)
    })
  }

  async #drop(round: number): Promise<void> {
    await rm(join(this.#folder, `${round}.json`), { force: true })
    await rm(this.#path(round), { force: true })
  }

  #path(round: number): string {
    return join(this.#folder, `${round}.update`)
  }

  /** Ascending. */
  async #rounds(): Promise<number[]> {
    const names = await readdir(this.#folder)
    return names
      .flatMap((name) => RECORD_NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b)
  }

  async #read(round: number): Promise<FinishedUpdate | undefined> {
    const path = join(this.#folder, `${round}.json`)
    try {
      if ((await stat(path)).size > MAXIMUM_RECORD_BYTES) return undefined
      return FinishedUpdate.parse(JSON.parse(await readFile(path, 'utf8')))
    } catch {
      return undefined
    }
  }

  async #inOrder(change: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(change)
    this.#tail = done.catch(() => undefined)
    await done
  }
}
