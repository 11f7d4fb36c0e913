// The parameters that the training thread read last. A round is trained from the parameters that the one before was evaluated
// on, so most are read once and not twice, and always into the same memory.
import { type FileHandle, open } from 'node:fs/promises'
import { basename } from 'node:path'

import { VerifiedFiles } from '#federation/wire/verified-files.ts'

import { TrainingFailure } from './failures.ts'

export class ParameterFile {
  #path: string | undefined
  #values = new Float32Array(0)
  #untouched = new VerifiedFiles()

  /** The file's float32 values; valid until the next call. Fails when there are not `length` of them. */
  async read(path: string, length: number): Promise<Float32Array> {
    if (path === this.#path && this.#values.length === length && (await this.#untouched.has(path))) {
      return this.#values
    }
    this.#path = undefined
    if (this.#values.length !== length) this.#values = new Float32Array(length)
    await using file = await open(path)
    await this.#untouched.add(path)
    await fill(file, this.#values, basename(path))
    this.#path = path
    return this.#values
  }
}

async function fill(file: FileHandle, values: Float32Array, name: string): Promise<void> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const { size } = await file.stat()
  if (size !== bytes.length) {
    const sizes = `${name} has ${size} bytes, the graphs need ${bytes.length}`
    throw new TrainingFailure('GraphsUnusable', sizes)
  }
  let filled = 0
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled)
    if (bytesRead === 0) throw new Error(`${name} ends at byte ${filled}`)
    filled += bytesRead
  }
}
