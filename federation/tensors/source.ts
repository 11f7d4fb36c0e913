// Random access to the bytes of an encoded update or delta: a file on disk, or bytes in memory. A read either fills what
// it was given or rejects; nothing is read ahead, so memory is what the reader of the bytes asks for.
import { open, type FileHandle } from 'node:fs/promises'

export interface ByteSource {
  /** Bytes in all, known before anything is read. */
  readonly size: number
  /** Fills `into` with the bytes from `offset` on; rejects when they end before. */
  read(offset: number, into: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** Opens a file for reading; its size is taken once, here. */
export async function openFile(path: string): Promise<ByteSource> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    return {
      size,
      read: async (offset, into) => readFully(file, offset, into),
      close: async () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Bytes that are already in memory, such as what a node is about to send. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: async (offset, into) => {
      if (offset + into.length > bytes.length) throw endsEarly(bytes.length, offset + into.length)
      into.set(bytes.subarray(offset, offset + into.length))
      return Promise.resolve()
    },
    close: async () => Promise.resolve(),
  }
}

async function readFully(file: FileHandle, offset: number, into: Uint8Array): Promise<void> {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, offset + done)
    if (bytesRead === 0) throw endsEarly(offset + done, offset + into.length)
    done += bytesRead
  }
}

function endsEarly(size: number, wanted: number): Error {
  return new Error(`the bytes end at ${size}; ${wanted} are needed`)
}
