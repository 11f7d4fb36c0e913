// The edge program as a process of its own, for tests that kill it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type HubEndpoint, formatHubAddress } from '#federation/wire/endpoint.ts'

export const PROGRAM = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface EdgeProcess {
  /** What it has logged so far, a JSON object a line. */
  readonly log: () => string
  readonly kill: (signal: NodeJS.Signals) => Promise<number | NodeJS.Signals | null>
  readonly exited: Promise<number | NodeJS.Signals | null>
}

/** @param folder for the token  @param args the command and its flags */
export async function startEdgeProcess(
  folder: string,
  args: readonly string[],
  settings: { hub: HubEndpoint; environment: Record<string, string> },
): Promise<EdgeProcess> {
  const { hub, environment } = settings
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, await hub.readToken())
  const child = spawn(process.execPath, [PROGRAM, ...args, '--token-file', tokenFile], {
    env: { ...environment, TRIBUTARY_HUB_ADDRESS: formatHubAddress(hub), TRIBUTARY_HUB_CA: hub.authority },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (log += String(data)))
  const exited = exitOf(child)
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    return await exited
  }
  return { log: () => log, kill, exited }
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  await once(child, 'exit')
  return child.signalCode ?? child.exitCode
}
