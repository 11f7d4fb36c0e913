// The one gate before a model is loaded: a trusted signature over a manifest for exactly this model, and bytes with the
// digest that it signs. What is returned is the buffer that was checked; whoever loads it loads nothing else.
import type { KeyObject } from 'node:crypto'

import { EnvelopeError } from '#federation/artefact/dsse.ts'
import { type ModelVersionManifest, verifyManifest } from '#federation/artefact/manifest.ts'
import { digestOf } from '#federation/wire/digest.ts'

import { ModelRefused } from './refusals.ts'

export interface ModelName {
  readonly namespace: string
  readonly name: string
}

export interface ModelIdentity extends ModelName {
  readonly version: number
}

export interface VerifiedModel {
  readonly manifest: ModelVersionManifest
  readonly bytes: Uint8Array
}

/** A manifest that one of the keys signed and that is for this model and version. */
export function checkManifest(
  envelope: Uint8Array,
  expected: ModelIdentity,
  keys: readonly KeyObject[],
): ModelVersionManifest {
  const manifest = trustedManifest(envelope, keys)
  for (const field of ['namespace', 'name', 'version'] as const) {
    if (manifest[field] === expected[field]) continue
    throw new ModelRefused(
      'ManifestMismatch',
      `the manifest is for ${field} ${manifest[field]}, expected ${expected[field]}`,
    )
  }
  return manifest
}

/** The bytes with the manifest that vouches for them. */
export function checkModel(manifest: ModelVersionManifest, bytes: Uint8Array): VerifiedModel {
  const { digest, size } = manifest.model
  if (bytes.byteLength !== size) {
    throw new ModelRefused(
      'DigestMismatch',
      `the model has ${bytes.byteLength} bytes, its manifest says ${size}`,
    )
  }
  const actual = digestOf(bytes)
  if (actual === digest) return { manifest, bytes }
  throw new ModelRefused('DigestMismatch', `the model has the digest ${actual}, its manifest says ${digest}`)
}

function trustedManifest(envelope: Uint8Array, keys: readonly KeyObject[]): ModelVersionManifest {
  try {
    return verifyManifest(envelope, keys)
  } catch (error) {
    if (error instanceof EnvelopeError) throw new ModelRefused('ManifestUntrusted', error.message)
    throw error
  }
}
