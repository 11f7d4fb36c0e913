// The newest plan that the parent sent, whole and on the disk before anything follows from it: with it a controller that starts
// while its parent cannot be reached goes on, checks tokens, and serves what it has.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { writeFileDurably } from '#federation/tier/store/files.ts'
import { TierPlan } from '#federation/wire/generated/tributary.ts'
import { MAXIMUM_MESSAGE_BYTES } from '#federation/wire/names.ts'

const FILE = 'tier-plan.bin'

export class TierMemory {
  readonly #path: string
  #plan: TierPlan | undefined
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(path: string, plan: TierPlan | undefined) {
    this.#path = path
    this.#plan = plan
  }

  static async open(folder: string): Promise<TierMemory> {
    const path = join(folder, FILE)
    const bytes = await readBounded(path)
    return new TierMemory(path, bytes && decode(bytes, path))
  }

  get plan(): TierPlan | undefined {
    return this.#plan
  }

  /** Keeps what came last; a plan of an earlier epoch than the one that is known was sent before it, and is left out. */
  async keep(plan: TierPlan): Promise<void> {
    const writing = this.#writing.then(async () => {
      if (plan.epoch < (this.#plan?.epoch ?? 0)) return
      await writeFileDurably(this.#path, TierPlan.encode(plan).finish())
      this.#plan = plan
    })
    this.#writing = writing.catch(() => undefined)
    await writing
  }
}

function decode(bytes: Uint8Array, path: string): TierPlan {
  try {
    return TierPlan.decode(bytes)
  } catch (error) {
    throw new Error(`${path} is damaged: remove it, and the parent sends it again`, { cause: error })
  }
}

async function readBounded(path: string): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(path)
    if (size > MAXIMUM_MESSAGE_BYTES) throw new Error(`${path} has ${size} bytes; a plan is smaller`)
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
