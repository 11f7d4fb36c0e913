// What a netns cluster must remember: its topology and which block of addresses it took. Everything else is named by
// rule (layout.ts).
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { blockCount } from '../addresses.ts'
import type { Topology } from '../topology.ts'
import type { NetnsLayout } from './layout.ts'

const state = z.object({
  block: z.int().min(0).lt(blockCount),
  topology: z.object({
    nodes: z.array(
      z.object({ name: z.string(), role: z.enum(['cloud', 'edge']), zone: z.string().exactOptional() }),
    ),
    nodeMonitorGraceSeconds: z.int(),
  }),
})

export interface NetnsState {
  readonly block: number
  readonly topology: Topology
}

export async function readState(layout: NetnsLayout): Promise<NetnsState | undefined> {
  const text = await readFile(layout.stateFile, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const parsed = state.safeParse(JSON.parse(text))
  if (!parsed.success)
    throw new Error(`${layout.stateFile}: ${parsed.error.message}; take the cluster down first`)
  return parsed.data
}

export async function writeState(layout: NetnsLayout, value: NetnsState): Promise<void> {
  await mkdir(path.dirname(layout.stateFile), { recursive: true })
  await writeFile(`${layout.stateFile}.new`, `${JSON.stringify(value, undefined, 2)}\n`)
  await rename(`${layout.stateFile}.new`, layout.stateFile)
}
