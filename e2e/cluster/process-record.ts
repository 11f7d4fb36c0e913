// Processes that outlive the command that started them. Each one writes its own record (boot, pid, start time)
// before it becomes the program, so no crash leaves a process without a record; a pid that the system has
// since given to another process is recognised by its start time and never touched.
import { spawn } from 'node:child_process'
import { mkdir, open, readFile, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { waitFor } from './wait.ts'

export interface ProcessIdentity {
  readonly bootId: string
  readonly pid: number
  /** In clock ticks since boot, field 22 of /proc/<pid>/stat. */
  readonly startTime: string
}

export interface ProcessStart {
  /** The record's name, unique within the folder. */
  readonly name: string
  readonly recordsFolder: string
  readonly logFile: string
  readonly command: readonly string[]
}

// Runs as `sh -c <script> <record> <command…>`: $0 is the record, "$@" the command.
const recordThenBecome =
  '{ cat /proc/sys/kernel/random/boot_id; cat /proc/$$/stat; } > "$0.new" && mv "$0.new" "$0" && exec "$@"'

/** Starts a process that goes on after this one ends, and returns when its record is on disk. */
export async function startProcess(start: ProcessStart): Promise<ProcessIdentity> {
  await mkdir(start.recordsFolder, { recursive: true })
  await mkdir(path.dirname(start.logFile), { recursive: true })
  const record = recordPath(start.recordsFolder, start.name)
  await rm(record, { force: true })
  const log = await open(start.logFile, 'a')
  try {
    const child = spawn('sh', ['-c', recordThenBecome, record, ...start.command], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    child.on('error', () => undefined)
    child.unref()
  } finally {
    await log.close()
  }
  return waitFor({ what: `start of ${start.name}`, timeoutMs: 10_000, intervalMs: 5 }, () =>
    readRecord(start.recordsFolder, start.name),
  )
}

export async function readRecord(recordsFolder: string, name: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(recordPath(recordsFolder, name), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : parseRecord(text)
}

export async function recordNames(recordsFolder: string): Promise<string[]> {
  const files = await readdir(recordsFolder).catch(() => [])
  return files.filter((file) => file.endsWith('.process')).map((file) => file.slice(0, -'.process'.length))
}

/** First line: boot id. Second line: the process's own /proc/<pid>/stat. */
export function parseRecord(text: string): ProcessIdentity | undefined {
  const [bootId, stat] = text.split('\n')
  const parsed = stat === undefined ? undefined : parseStat(stat)
  if (bootId === undefined || parsed === undefined) return undefined
  return { bootId, pid: parsed.pid, startTime: parsed.startTime }
}

export function parseStat(stat: string): { pid: number; state: string; startTime: string } | undefined {
  // The program's name stands in parentheses and may itself hold spaces and parentheses.
  const afterName = stat.lastIndexOf(')')
  if (afterName < 0) return undefined
  const fields = stat.slice(afterName + 2).split(' ')
  const pid = Number.parseInt(stat, 10)
  const [state] = fields
  const startTime = fields[19]
  if (!Number.isSafeInteger(pid) || state === undefined || startTime === undefined) return undefined
  return { pid, state, startTime }
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  if (bootId.trim() !== identity.bootId) return false
  const stat = await readFile(`/proc/${String(identity.pid)}/stat`, 'utf8').catch(() => undefined)
  const parsed = stat === undefined ? undefined : parseStat(stat)
  if (parsed?.startTime !== identity.startTime) return false
  return !['Z', 'X'].includes(parsed.state)
}

export async function isRunning(recordsFolder: string, name: string): Promise<boolean> {
  const identity = await readRecord(recordsFolder, name)
  return identity !== undefined && (await isAlive(identity))
}

/** Ends the recorded process (politely, then not) and removes its record. */
export async function stopProcess(recordsFolder: string, name: string, graceMs = 10_000): Promise<void> {
  const identity = await readRecord(recordsFolder, name)
  if (identity !== undefined) {
    await end(identity, 'SIGTERM', graceMs).catch(() => end(identity, 'SIGKILL', 10_000))
  }
  await rm(recordPath(recordsFolder, name), { force: true })
}

/** Ends the recorded process at once, as a crash would. */
export async function killProcess(recordsFolder: string, name: string): Promise<void> {
  const identity = await readRecord(recordsFolder, name)
  if (identity !== undefined) await end(identity, 'SIGKILL', 10_000)
  await rm(recordPath(recordsFolder, name), { force: true })
}

async function end(identity: ProcessIdentity, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  if (!(await isAlive(identity))) return
  try {
    process.kill(identity.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  await waitFor({ what: `end of process ${String(identity.pid)}`, timeoutMs, intervalMs: 20 }, async () =>
    (await isAlive(identity)) ? undefined : true,
  )
}

function recordPath(recordsFolder: string, name: string): string {
  return path.join(recordsFolder, `${name}.process`)
}
