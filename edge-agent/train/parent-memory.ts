// What a training pod remembers of its parents over a restart: the edge controller that was introduced last, so that it is found
// while the hub cannot be reached, and the highest epochs, so that one that was replaced is not followed again.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'
import { z } from 'zod'

import { writeDurably } from '#federation/wire/durable.ts'

import type { Standing } from '../parent/standing.ts'

const MAXIMUM_RECORD_BYTES = 256 * 1024
const RECORD = 'parent.json'

const Remembered = z.strictObject({
  parent: z
    .strictObject({ tier: z.string(), epoch: z.int().min(0), address: z.string(), certificate: z.string() })
    .optional(),
  epochs: z.record(z.string(), z.int().min(0)),
})

export class ParentMemory {
  readonly #folder: string
  readonly #log: Logger
  #kept = JSON.stringify({ epochs: {} })
  #writing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, log: Logger) {
    this.#folder = folder
    this.#log = log
  }

  async read(): Promise<Pick<Standing, 'parent' | 'epochs'> | undefined> {
    const path = join(this.#folder, RECORD)
    try {
      if ((await stat(path)).size > MAXIMUM_RECORD_BYTES) return undefined
      const text = await readFile(path, 'utf8')
      const { parent, epochs } = Remembered.parse(JSON.parse(text))
      this.#kept = text
      return { ...(parent && { parent }), epochs }
    } catch {
      return undefined
    }
  }

  /** Writes down what changed, in the order of the calls. A failure is logged: the hub can tell it all again. */
  keep({ parent, epochs }: Pick<Standing, 'parent' | 'epochs'>): void {
    const text = JSON.stringify({ parent, epochs })
    if (text === this.#kept) return
    this.#kept = text
    this.#writing = this.#writing
      .then(async () => await writeDurably(this.#folder, RECORD, Buffer.from(text)))
      .catch((error: unknown) =>
        this.#log.warn({ error: String(error) }, 'the parent cannot be written down'),
      )
  }

  /** Resolves once everything is written down. */
  async written(): Promise<void> {
    await this.#writing
  }
}
