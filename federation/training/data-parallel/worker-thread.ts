/*
 * A thread with a shard of its own: it answers each `run` with the shard's loss, and ends after `close`. Importing this file
 * does nothing but in a thread that was started with the settings of a shard.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

import type { TrainingManifest } from '../manifest.ts'
import { Shard, type ShardMemory } from './shard.ts'

export interface ShardSettings {
  role: 'shard'
  graph: Uint8Array
  manifest: TrainingManifest
  memory: ShardMemory
}

export type ShardRequest = 'run' | 'close'

export type ShardReply =
  { kind: 'ready' } | { kind: 'done'; loss: number } | { kind: 'failed'; error: string }

async function serve(port: MessagePort, { graph, manifest, memory }: ShardSettings): Promise<void> {
  const shard = await Shard.load(graph, manifest, memory)
  port.on('message', (request: ShardRequest) => {
    const done = request === 'run' ? answer(port, shard) : end(port, shard)
    done.catch(endThread)
  })
  port.postMessage({ kind: 'ready' } satisfies ShardReply)
}

async function answer(port: MessagePort, shard: Shard): Promise<void> {
  try {
    port.postMessage({ kind: 'done', loss: await shard.run() } satisfies ShardReply)
  } catch (error) {
    port.postMessage({ kind: 'failed', error: String(error) } satisfies ShardReply)
  }
}

/** What nobody waits for would be lost; thrown again it ends the thread, which whoever started it notices. */
function endThread(error: unknown): never {
  throw error
}

/** A thread that listens to nobody ends. */
async function end(port: MessagePort, shard: Shard): Promise<void> {
  await shard.close()
  port.close()
}

const settings = workerData as Partial<ShardSettings> | null
if (parentPort && settings?.role === 'shard') await serve(parentPort, settings as ShardSettings)
