// Reads files of float32 values, little-endian, with nothing else in them: parameters, server state, raw updates.
// A file that ends before its time is an error, never zeros.
import { close, fstat, open, read } from 'node:fs'
import { promisify } from 'node:util'
import type { OpenReader } from './reader.ts'

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

// Plain descriptors, not FileHandles: a merge keeps one for each update.
const files = {
  close: promisify(close),
  open: promisify(open),
  read: promisify(read),
  stat: promisify(fstat),
}

export function float32File(path: string): OpenReader {
  return async () => {
    const descriptor = await files.open(path, 'r')
    const { size } = await files.stat(descriptor)
    return {
      length: size / BYTES_PER_VALUE,
      read: async (start, into) => readFully(descriptor, bytesOf(into), start * BYTES_PER_VALUE),
      close: async () => files.close(descriptor),
      file: { descriptor, offset: 0 },
    }
  }
}

/** Values are read as they lie in memory: every platform of Node.js is little-endian but s390x. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

async function readFully(descriptor: number, into: Uint8Array, offset: number): Promise<void> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await files.read(descriptor, into, done, into.byteLength - done, offset + done)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${offset + done}`)
    done += bytesRead
  }
}
