// Reads files of float32 values, little-endian, with nothing else in them: parameters, server state, raw updates.
// A file that ends before its time is an error, never zeros.
import { open, type FileHandle } from 'node:fs/promises'
import type { OpenReader } from './reader.ts'

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

export function float32File(path: string): OpenReader {
  return async () => {
    const file = await open(path, 'r')
    const { size } = await file.stat()
    return {
      length: size / BYTES_PER_VALUE,
      read: async (start, into) => readFully(file, bytesOf(into), start * BYTES_PER_VALUE),
      close: async () => file.close(),
      file: { descriptor: file.fd, offset: 0 },
    }
  }
}

/** Values are read as they lie in memory: every platform of Node.js is little-endian but s390x. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

async function readFully(file: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, offset + done)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${offset + done}`)
    done += bytesRead
  }
}
