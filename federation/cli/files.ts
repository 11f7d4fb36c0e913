/*
 * Files that people name on a command line: bounded in size, and a message instead of a system error.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'

import { type Model, ModelError, readModel } from '#federation/training/index.ts'
import { DEFAULT_LIMITS } from '#federation/training/model.ts'

export async function readModelFile(file: string): Promise<Model> {
  return readModel(await readBounded(file, DEFAULT_LIMITS.bytes))
}

/** @param limit in bytes */
export async function readBounded(file: string, limit: number): Promise<Uint8Array> {
  const { size } = await attempt(file, 'read', () => stat(file))
  if (size > limit) throw new ModelError(`${file} has ${size} bytes; the limit is ${limit}`)
  // A device or a pipe has no size to tell: one byte more than may be is enough to know.
  const bytes = await attempt(file, 'read', () => buffer(createReadStream(file, { end: limit })))
  if (bytes.length > limit) throw new ModelError(`${file} has more than ${limit} bytes, the limit`)
  return bytes
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EEXIST: 'it is a file, not a folder',
  ENOSPC: 'the disk is full',
}

export async function attempt<Result>(
  file: string,
  what: 'read' | 'write',
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new ModelError(`cannot ${what} ${file}: ${REASONS[code] ?? code}`)
  }
}
