/*
 * What processes cost, read from Linux' /proc: processor time and memory of whole process trees.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second of /proc on Linux. */
const TICKS = 100

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Seconds of this process and of the children that it has reaped. */
  readonly seconds: number
}

/** Seconds of user and system time that these processes and all below them have used. */
export function cpuSeconds(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, { seconds }) => sum + seconds, 0)
}

export interface Memory {
  /** Resident set sizes added up: a page that two of the processes share counts twice. */
  readonly resident: number
  /** Proportional set sizes: a page that n processes of this machine share counts as 1/n. */
  readonly proportional: number
}

/** Megabytes (1e6 bytes) that these processes and all below them hold. */
export function heldMegabytes(roots: readonly number[]): Memory {
  const held = treeOf(roots).map(({ pid }) => read(`/proc/${pid}/smaps_rollup`))
  const total = (kind: string): number => held.reduce((sum, text) => sum + megabytes(text, kind), 0)
  return { resident: total('Rss'), proportional: total('Pss') }
}

/** Ends a program that this benchmark has started, with all that it started in turn. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  const below = treeOf([child.pid]).map(({ pid }) => pid)
  for (const pid of below) kill(pid)
  await exit
}

/** Starts a program with its own environment; what it prints goes to stderr only when it fails. */
export function start(
  command: string,
  args: readonly string[],
  options: { env: Readonly<Record<string, string>>; cwd?: string },
): ChildProcess & { output: () => string } {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (data: unknown) => (output = (output + String(data)).slice(-20_000))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return Object.assign(child, { output: () => output })
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function treeOf(roots: readonly number[]): Stat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? statOf(Number(name)) : []))
  const wanted = new Set(roots)
  for (let found = -1; found !== wanted.size;) {
    found = wanted.size
    for (const { pid, parent } of all) if (wanted.has(parent)) wanted.add(pid)
  }
  return all.filter(({ pid }) => wanted.has(pid))
}

function statOf(pid: number): Stat[] {
  const text = read(`/proc/${pid}/stat`)
  // The name is in brackets and may hold anything; what follows the last one is numbers.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 15) return []
  const ticks = fields.slice(11, 15).map(Number)
  return [{ pid, parent: Number(fields[1]), seconds: ticks.reduce((sum, value) => sum + value, 0) / TICKS }]
}

function megabytes(smaps: string, kind: string): number {
  const kilobytes = new RegExp(`^${kind}:\\s+(\\d+) kB$`, 'm').exec(smaps)?.[1]
  return (Number(kilobytes ?? 0) * 1024) / 1e6
}

/** Empty for a process that has ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
