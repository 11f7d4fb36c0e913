// Files that survive a crash at any moment: a file is either absent, or whole and on the disk. Writers put the bytes
// in a temporary file beside it, flush it, rename it, and flush the folder; what a crash leaves half-written has a
// name that nothing else can have, and is removed at the next start.
import { constants } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { z } from 'zod'

// No name, UID or digest of Kubernetes or ours holds a tilde: a node may be called "edge.tmp".
const TEMPORARY_SUFFIX = '.tmp~'
const MAXIMUM_RECORD_BYTES = 16 * 1024 * 1024
let temporaryFiles = 0

/** A name for a half-written file, unused within this process. */
export function temporaryPath(path: string): string {
  temporaryFiles += 1
  return `${path}.${temporaryFiles}${TEMPORARY_SUFFIX}`
}

/** Makes a folder and those above it, each of them durable. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first) return
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function writeFileDurably(path: string, bytes: string | Uint8Array): Promise<void> {
  const temporary = temporaryPath(path)
  try {
    const handle = await open(temporary, 'wx')
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

export async function writeRecord(path: string, record: unknown): Promise<void> {
  await makeDirectory(dirname(path))
  await writeFileDurably(path, `${JSON.stringify(record)}\n`)
}

/** Reads a record; undefined when there is none. A record that does not parse is an error naming file and field. */
export async function readRecord<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readIfPresent(path)
  if (text === undefined) return undefined
  const result = schema.safeParse(parseJson(text, path))
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new Error(`${path} is damaged: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${path} is damaged: it is not JSON`)
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    if (size > MAXIMUM_RECORD_BYTES) throw new Error(`${path} has ${size} bytes; a record is smaller`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Names in a folder, sorted; none when the folder does not exist. */
export async function listDirectory(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Removes a folder in one step: after a crash it is there whole, or gone. */
export async function removeTree(path: string): Promise<void> {
  const doomed = temporaryPath(path)
  try {
    await rename(path, doomed)
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  await syncDirectory(dirname(path))
  await rm(doomed, { recursive: true, force: true })
}

/** Removes what a crash left half-written, or half-removed, below a folder. */
export async function removeTemporaryFiles(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(TEMPORARY_SUFFIX)) continue
    await rm(join(entry.parentPath, entry.name), { recursive: true, force: true })
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
