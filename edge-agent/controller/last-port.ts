// The port that was served last: those below were told it, so after a restart it is taken again where it is free.
import { join } from 'node:path'

import { z } from 'zod'

import { readRecord, writeRecord } from '#federation/tier/store/files.ts'

const PortRecord = z.object({ port: z.int().min(1).max(65_535) })

export async function lastPort(folder: string): Promise<number | undefined> {
  return (await readRecord(join(folder, 'port.json'), PortRecord))?.port
}

export async function rememberPort(folder: string, port: number): Promise<void> {
  if ((await lastPort(folder)) !== port) await writeRecord(join(folder, 'port.json'), { port })
}
