// Signed envelopes as in DSSE 1.0 (Dead Simple Signing Envelope): the signature covers the payload's type and its
// exact bytes, so nothing has to be canonicalised and a payload cannot be taken for one of another type.
// Signatures are Ed25519; a key's id is the SHA-256 of its public half (DER, SubjectPublicKeyInfo).
import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { z } from 'zod'

/** Largest envelope that is read, in bytes. A manifest is a few hundred bytes; its metrics are bounded too. */
export const MAXIMUM_ENVELOPE_BYTES = 256 * 1024
const MAXIMUM_SIGNATURES = 8

const base64 = z
  .string()
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'is not base64')

const Envelope = z.object({
  payloadType: z.string().min(1).max(255),
  payload: base64,
  signatures: z
    .array(z.object({ keyid: z.string().max(128).optional(), sig: base64 }))
    .min(1, 'holds no signature')
    .max(MAXIMUM_SIGNATURES),
})

/** An envelope that is not to be trusted; the message says why. */
export class EnvelopeError extends Error {
  override name = 'EnvelopeError'
}

/** What a signature covers: DSSE's pre-authentication encoding of type and payload. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType, 'utf8')
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${type.byteLength} `),
    type,
    Buffer.from(` ${payload.byteLength} `),
    payload,
  ])
}

/** Name of a key: SHA-256 of its public half. Takes either half. */
export function keyId(key: KeyObject): string {
  const publicKey = key.type === 'public' ? key : createPublicKey(key)
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

/** Signs a payload; the result is the envelope's JSON. The same payload and key give the same bytes. */
export function signEnvelope(payloadType: string, payload: Uint8Array, privateKey: KeyObject): Buffer {
  requireEd25519(privateKey)
  const sig = sign(null, preAuthenticationEncoding(payloadType, payload), privateKey).toString('base64')
  const envelope = {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: keyId(privateKey), sig }],
  }
  return Buffer.from(JSON.stringify(envelope))
}

/** Returns the payload when one of the trusted keys signed it; throws EnvelopeError otherwise. */
export function verifyEnvelope(
  bytes: Uint8Array,
  payloadType: string,
  trusted: readonly KeyObject[],
): Buffer {
  const envelope = parseEnvelope(bytes)
  if (envelope.payloadType !== payloadType) {
    throw new EnvelopeError(
      `the envelope's payloadType is "${envelope.payloadType}"; expected "${payloadType}"`,
    )
  }
  const payload = Buffer.from(envelope.payload, 'base64')
  const signed = preAuthenticationEncoding(payloadType, payload)
  // Key ids are unauthenticated hints (DSSE, "keyid"), so every trusted key is tried and the hint decides nothing.
  for (const key of trusted) {
    requireEd25519(key)
    const good = envelope.signatures.some(({ sig }) => verify(null, signed, key, Buffer.from(sig, 'base64')))
    if (good) return payload
  }
  const signers = envelope.signatures.map((signature) => signature.keyid ?? 'unnamed').join(', ')
  throw new EnvelopeError(
    `no signature (by ${signers}) verifies with a trusted key (${trusted.map(keyId).join(', ') || 'none'})`,
  )
}

function parseEnvelope(bytes: Uint8Array): z.infer<typeof Envelope> {
  if (bytes.byteLength > MAXIMUM_ENVELOPE_BYTES) {
    throw new EnvelopeError(
      `the envelope has ${bytes.byteLength} bytes; at most ${MAXIMUM_ENVELOPE_BYTES} are read`,
    )
  }
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    throw new EnvelopeError('the envelope is not JSON')
  }
  const result = Envelope.safeParse(json)
  if (!result.success) throw new EnvelopeError(`the envelope is malformed: ${firstIssue(result.error)}`)
  return result.data
}

/** One sentence for the first thing wrong with a parsed document. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue ? `${issue.path.join('.') || 'the document'}: ${issue.message}` : 'unknown'
}

function requireEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType === 'ed25519') return
  throw new TypeError(
    `the key is ${key.asymmetricKeyType ?? key.type}; model versions are signed with ed25519`,
  )
}
