// The signed description of a published model version. Who holds a trusted public key and the envelope knows which
// bytes are the model, where they come from and how good they were, and can tell a version of another model apart.
import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { EnvelopeError, firstIssue, signEnvelope, verifyEnvelope } from './dsse.ts'

export const MANIFEST_PAYLOAD_TYPE = 'application/vnd.tributary.model-version+json'

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is not sha256:<64 hex>')
const count = z.int().min(0)

export const ModelVersionManifest = z.object({
  namespace: z.string().min(1).max(253),
  name: z.string().min(1).max(253),
  version: z.int().min(1),
  /** The self-contained .onnx file. */
  model: z.object({ digest, size: z.int().min(1) }),
  /** The version it was trained from; absent for the version a person brought. */
  parent: digest.optional(),
  /** RFC 3339. */
  created: z.iso.datetime(),
  /** Sample-weighted mean over the participants' held-out samples. */
  metrics: z.record(z.string().max(128), z.number()),
  /** How many participants' updates are in it; never who. */
  participants: count,
  samples: count,
  /** The campaign's UID and the round; absent for the version a person brought. */
  campaign: z.string().min(1).max(64).optional(),
  round: z.int().min(1).optional(),
})
export type ModelVersionManifest = z.infer<typeof ModelVersionManifest>

/** Signs a manifest; the result is the envelope's JSON. */
export function signManifest(manifest: ModelVersionManifest, privateKey: KeyObject): Buffer {
  const payload = Buffer.from(JSON.stringify(ModelVersionManifest.parse(manifest)))
  return signEnvelope(MANIFEST_PAYLOAD_TYPE, payload, privateKey)
}

/** Verifies signature and content of an envelope; throws EnvelopeError saying what is wrong. */
export function verifyManifest(envelope: Uint8Array, trusted: readonly KeyObject[]): ModelVersionManifest {
  const payload = verifyEnvelope(envelope, MANIFEST_PAYLOAD_TYPE, trusted)
  let json: unknown
  try {
    json = JSON.parse(payload.toString('utf8'))
  } catch {
    throw new EnvelopeError('the signed manifest is not JSON')
  }
  const result = ModelVersionManifest.safeParse(json)
  if (!result.success)
    throw new EnvelopeError(`the signed manifest is malformed: ${firstIssue(result.error)}`)
  return result.data
}
