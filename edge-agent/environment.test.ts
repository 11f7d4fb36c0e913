import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'

import { testCertificate } from '#federation/wire/testing/certificate.ts'

import { AgentSettings, TrainSettings, readPublicKeys, readSettings } from './environment.ts'

let environment: Record<string, string>
beforeAll(async () => {
  environment = {
    TRIBUTARY_HUB_ADDRESS: '192.0.2.1:30843',
    TRIBUTARY_HUB_CA: (await testCertificate()).authority,
    TRIBUTARY_CAMPAIGN: 'f0000000-0000-4000-8000-00000000000a',
    TRIBUTARY_NODE_NAME: 'edge-a',
    TRIBUTARY_DATASET: '{}',
    TRIBUTARY_SIGNING_PUBLIC_KEY: publicPem('ed25519'),
    PATH: '/bin',
  }
})

function publicPem(type: 'ed25519' | 'x25519'): string {
  const { publicKey } = type === 'ed25519' ? generateKeyPairSync(type) : generateKeyPairSync('x25519')
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

describe('readSettings', () => {
  it('reads what a pod is given', () => {
    expect(readSettings(TrainSettings, environment)).toMatchObject({
      TRIBUTARY_HUB_ADDRESS: { host: '192.0.2.1', port: 30_843 },
      TRIBUTARY_NODE_NAME: 'edge-a',
    })
    expect(readSettings(AgentSettings, environment).TRIBUTARY_HUB_ADDRESS.port).toBe(30_843)
  })

  it('names everything that is missing, at once', () => {
    expect(() => readSettings(TrainSettings, {})).toThrow(
      'environment: TRIBUTARY_HUB_ADDRESS: is not set; TRIBUTARY_HUB_CA: is not set; TRIBUTARY_CAMPAIGN: is not set; ' +
        'TRIBUTARY_NODE_NAME: is not set; TRIBUTARY_DATASET: is not set',
    )
  })

  it.each([
    {
      name: 'TRIBUTARY_HUB_ADDRESS',
      value: 'hub',
      want: /TRIBUTARY_HUB_ADDRESS: hub address "hub": expected host:port/,
    },
    { name: 'TRIBUTARY_HUB_CA', value: 'PEM', want: /TRIBUTARY_HUB_CA: expected the X\.509 certificate/ },
    {
      name: 'TRIBUTARY_CAMPAIGN',
      value: '../x',
      want: /TRIBUTARY_CAMPAIGN: expected the UID of a FederatedRound/,
    },
    {
      name: 'TRIBUTARY_BYTES_PER_SECOND',
      value: '1000',
      want: /TRIBUTARY_BYTES_PER_SECOND: expected bytes a second, from 1024/,
    },
    {
      name: 'TRIBUTARY_BYTES_PER_SECOND',
      value: '1Mi',
      want: /TRIBUTARY_BYTES_PER_SECOND: expected bytes a second/,
    },
  ])('refuses $name $value', ({ name, value, want }) => {
    expect(() => readSettings(TrainSettings, { ...environment, [name]: value })).toThrow(want)
  })
})

describe('readPublicKeys', () => {
  it('reads several keys, one after another', () => {
    expect(readPublicKeys(`${publicPem('ed25519')}\n${publicPem('ed25519')}`)).toHaveLength(2)
  })

  it.each([
    { name: 'nothing', pem: '' },
    { name: 'a key that cannot sign', pem: publicPem('x25519') },
    { name: 'a key that is cut', pem: publicPem('ed25519').slice(0, 50) },
    { name: 'a block that is none', pem: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----' },
  ])('refuses $name', ({ pem }) => {
    expect(() => readPublicKeys(pem)).toThrow('expected Ed25519 public keys in PEM')
  })
})
