// The global parameters on the node's disk: made from those that the node has and the difference that the hub offers, or fetched
// as a whole. Either way the file holds the very bytes whose digest the hub announced.
import { readFile } from 'node:fs/promises'

import { EncodingError } from '#federation/tensors/errors.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import { applyParameterDelta } from '#federation/tensors/parameter-delta.ts'
import { bytesSource } from '#federation/tensors/source.ts'
import { readManifest } from '#federation/training/manifest.ts'
import { digestHex, digestOf, digestOfFile } from '#federation/wire/digest.ts'
import { blobFile } from '#federation/wire/download.ts'
import { writeDurably } from '#federation/wire/durable.ts'
import type { Blob, ParameterDelta } from '#federation/wire/generated/tributary.ts'

export interface DeltaPlace {
  readonly blobFolder: string
  /** File of the training manifest. */
  readonly manifest: string
  readonly fetch: (blob: Blob) => Promise<string>
}

/** The file of the parameters; undefined when they cannot be made here and must be fetched as a whole. */
export async function parametersFromDelta(
  parameters: Blob,
  delta: ParameterDelta,
  { blobFolder, manifest, fetch }: DeltaPlace,
): Promise<string | undefined> {
  const path = blobFile(blobFolder, parameters)
  const base = await wholeFile(
    blobFile(blobFolder, { digest: delta.baseDigest, size: parameters.size }),
    delta.baseDigest,
  )
  if (!base || !delta.blob || (await wholeFile(path, parameters.digest))) return undefined
  try {
    const { parameters: tensors } = readManifest(JSON.parse(await readFile(manifest, 'utf8')))
    const source = bytesSource(await readFile(await fetch(delta.blob)))
    const values = await applyParameterDelta(floats(base), source, updateLayout(tensors))
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    if (digestOf(bytes) !== parameters.digest) return undefined
    await writeDurably(blobFolder, digestHex(parameters.digest), bytes)
    return path
  } catch (error) {
    if (error instanceof EncodingError || error instanceof RangeError) return undefined
    throw error
  }
}

async function wholeFile(path: string, digest: string): Promise<Buffer | undefined> {
  if ((await digestOfFile(path).catch(() => undefined)) !== digest) return undefined
  return await readFile(path)
}

function floats({ buffer, byteOffset, byteLength }: Buffer): Float32Array {
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))
}
