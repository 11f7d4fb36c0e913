/*
 * The threads that compute the gradients of a batch together: a shard in the thread that asks, and one in each of the others.
 * They stay for as long as the trainer that they belong to.
 */
import type { TrainingManifest } from '../manifest.ts'
import { newShardMemories, Shard, type ShardMemory } from './shard.ts'
import { ShardThread } from './shard-thread.ts'

/** Where the threads start from, unless this code is part of a bundle. */
const OWN_ENTRY = new URL('./worker-thread.ts', import.meta.url)

export class Crew {
  readonly memories: readonly ShardMemory[]
  private readonly shards: readonly (Shard | ShardThread)[]

  private constructor(memories: readonly ShardMemory[], shards: readonly (Shard | ShardThread)[]) {
    this.memories = memories
    this.shards = shards
  }

  static async start(graph: Uint8Array, manifest: TrainingManifest, entry = OWN_ENTRY): Promise<Crew> {
    const [own, ...others] = newShardMemories(manifest)
    if (!own) throw new Error('unreachable: there is at least one shard')
    const settings = { role: 'shard', graph, manifest } as const
    const starting = others.map(async (memory) => await ShardThread.start(entry, { ...settings, memory }))
    const outcomes = await Promise.allSettled([Shard.load(graph, manifest, own), ...starting])
    const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    const crew = new Crew([own, ...others], started)
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failed) return crew
    await crew.close()
    throw failed.reason
  }

  /**
   * Renews the gradients of the first `count` shards; returns their losses. Fails only when all have ended: nobody writes to
   * the memory any more.
   */
  async run(count: number): Promise<number[]> {
    const [own, ...others] = this.shards.slice(0, count)
    // The others are told first: the shard of this thread blocks it.
    const told = others.map(async (shard) => await shard.run())
    const outcomes = await Promise.allSettled([own?.run() ?? 0, ...told])
    return outcomes.map((outcome) => {
      if (outcome.status === 'fulfilled') return outcome.value
      throw outcome.reason
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.shards.map(async (shard) => await shard.close()))
  }
}
