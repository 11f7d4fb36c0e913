import { execFile } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  EnvelopeError,
  keyId,
  MAXIMUM_ENVELOPE_BYTES,
  preAuthenticationEncoding,
  signEnvelope,
  verifyEnvelope,
} from './dsse.ts'
import { MANIFEST_PAYLOAD_TYPE, signManifest, verifyManifest, type ModelVersionManifest } from './manifest.ts'

const keys = generateKeyPairSync('ed25519')
const others = generateKeyPairSync('ed25519')
const trusted = [keys.publicKey]

const manifest: ModelVersionManifest = {
  namespace: 'city',
  name: 'traffic',
  version: 2,
  model: { digest: `sha256:${'a'.repeat(64)}`, size: 4096 },
  parent: `sha256:${'b'.repeat(64)}`,
  created: '2026-11-23T06:00:00.000Z',
  metrics: { loss: 0.25 },
  participants: 4,
  samples: 1200,
  campaign: 'f0000000-0000-4000-8000-000000000001',
  round: 3,
}

interface EnvelopeJson {
  payloadType: string
  payload: string
  signatures: { keyid?: string; sig: string }[]
}

function changed(envelope: Uint8Array, change: (json: EnvelopeJson) => void): Buffer {
  const json = JSON.parse(Buffer.from(envelope).toString()) as EnvelopeJson
  change(json)
  return Buffer.from(JSON.stringify(json))
}

describe('the pre-authentication encoding', () => {
  it('is that of the DSSE specification', () => {
    // The specification's own example: secure-systems-lab/dsse, protocol.md.
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))
    expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
  })

  it('counts bytes and not characters', () => {
    expect(preAuthenticationEncoding('é', Buffer.from('ü')).toString()).toBe('DSSEv1 2 é 2 ü')
  })
})

describe('a signed manifest', () => {
  it('comes back as it was signed', () => {
    expect(verifyManifest(signManifest(manifest, keys.privateKey), trusted)).toEqual(manifest)
  })

  it('has a signature that openssl verifies', async () => {
    const envelope = JSON.parse(signManifest(manifest, keys.privateKey).toString()) as EnvelopeJson
    const folder = await mkdtemp(join(tmpdir(), 'tributary-dsse-'))
    try {
      const [key, message, signature] = ['key.pem', 'message', 'signature'].map((name) => join(folder, name))
      if (!key || !message || !signature) throw new Error('unreachable')
      await writeFile(key, keys.publicKey.export({ type: 'spki', format: 'pem' }))
      const { payloadType } = envelope
      const payload = Buffer.from(envelope.payload, 'base64')
      const head = `DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `
      await writeFile(message, Buffer.concat([Buffer.from(head), payload]))
      await writeFile(signature, Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'))
      const verify = [
        'pkeyutl',
        '-verify',
        '-pubin',
        '-inkey',
        key,
        '-rawin',
        '-in',
        message,
        '-sigfile',
        signature,
      ]
      const { stdout } = await promisify(execFile)('openssl', verify)
      expect(stdout).toContain('Signature Verified Successfully')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('verifies with any of several trusted keys, so that keys can be changed', () => {
    const envelope = signManifest(manifest, keys.privateKey)
    expect(verifyManifest(envelope, [others.publicKey, keys.publicKey])).toEqual(manifest)
  })

  it('does not trust the key id', () => {
    const envelope = changed(signManifest(manifest, others.privateKey), (json) => {
      for (const signature of json.signatures) signature.keyid = keyId(keys.publicKey)
    })
    expect(() => verifyManifest(envelope, trusted)).toThrow(/no signature .* verifies with a trusted key/)
  })

  const envelope = signManifest(manifest, keys.privateKey)
  const signed = (payload: unknown): Buffer =>
    signEnvelope(MANIFEST_PAYLOAD_TYPE, Buffer.from(JSON.stringify(payload)), keys.privateKey)
  it.each([
    {
      name: 'a key that is not trusted',
      bytes: signManifest(manifest, others.privateKey),
      said: /no signature/,
    },
    {
      name: 'a changed payload',
      bytes: changed(envelope, (json) => {
        const payload = JSON.parse(Buffer.from(json.payload, 'base64').toString()) as Record<string, unknown>
        json.payload = Buffer.from(JSON.stringify({ ...payload, version: 3 })).toString('base64')
      }),
      said: /no signature/,
    },
    {
      name: 'a signature over the payload alone',
      bytes: changed(envelope, (json) => {
        const sig = sign(null, Buffer.from(json.payload, 'base64'), keys.privateKey).toString('base64')
        json.signatures = [{ sig }]
      }),
      said: /no signature/,
    },
    {
      name: 'another payload type',
      bytes: signEnvelope('application/json', Buffer.from('{}'), keys.privateKey),
      said: /payloadType is "application\/json"; expected "application\/vnd.tributary/,
    },
    { name: 'no JSON', bytes: Buffer.from('{'), said: /not JSON/ },
    {
      name: 'no signatures',
      bytes: changed(envelope, (json) => (json.signatures = [])),
      said: /no signature/,
    },
    {
      name: 'bad base64',
      bytes: changed(envelope, (json) => (json.payload += '!')),
      said: /payload: is not base64/,
    },
    { name: 'too many bytes', bytes: Buffer.alloc(MAXIMUM_ENVELOPE_BYTES + 1), said: /at most/ },
    {
      name: 'a manifest without version',
      bytes: signed({ ...manifest, version: undefined }),
      said: /version: /,
    },
    {
      name: 'a manifest with a bad digest',
      bytes: signed({ ...manifest, model: { digest: 'sha256:xyz', size: 1 } }),
      said: /model.digest: is not sha256/,
    },
  ])('is refused with $name', ({ bytes, said }) => {
    expect(() => verifyManifest(bytes, trusted)).toThrow(EnvelopeError)
    expect(() => verifyManifest(bytes, trusted)).toThrow(said)
  })

  it('is not made of what does not describe a version', () => {
    expect(() => signManifest({ ...manifest, version: 0 }, keys.privateKey)).toThrow()
  })

  it('has a key id that is the SHA-256 of the public key, from either half', () => {
    expect(keyId(keys.privateKey)).toBe(keyId(createPublicKey(keys.privateKey)))
    expect(keyId(keys.publicKey)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('is never signed with another kind of key', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(() => signManifest(manifest, privateKey)).toThrow(/ed25519/)
    expect(() => verifyEnvelope(envelope, MANIFEST_PAYLOAD_TYPE, [createPublicKey(privateKey)])).toThrow(
      /ed25519/,
    )
  })
})
