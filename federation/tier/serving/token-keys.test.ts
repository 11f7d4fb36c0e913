import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'
import { Identities } from './identity.ts'
import { checkTokenKeys, reviewByKeys } from './token-keys.ts'

const ISSUER = 'https://kubernetes.default.svc'
const NOW_S = 1_800_000_000
const SUBJECT = 'system:serviceaccount:city:default'

let keys: TokenKeys
type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
let signingKey: SigningKey
let otherKey: SigningKey

beforeAll(async () => {
  const own = await generateKeyPair('RS256')
  signingKey = own.privateKey
  otherKey = (await generateKeyPair('RS256')).privateKey
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' }
  keys = { issuer: ISSUER, keySet: JSON.stringify({ keys: [jwk] }) }
})

const KUBERNETES = {
  namespace: 'city',
  serviceaccount: { name: 'default', uid: 'u-1' },
  pod: { name: 'pod-a', uid: 'u-2' },
  node: { name: 'a', uid: 'u-3' },
}

async function token(changes: Record<string, unknown> = {}, key = signingKey): Promise<string> {
  const usual = { iss: ISSUER, aud: ['tributary-hub'], sub: SUBJECT, exp: NOW_S + 600, nbf: NOW_S - 10 }
  return await new SignJWT({ ...usual, 'kubernetes.io': KUBERNETES, ...changes })
    .setProtectedHeader({ alg: 'RS256', kid: 'key-1' })
    .sign(key)
}

const clock = { now: () => NOW_S * 1000 }

describe('a token checked against the keys of the cluster', () => {
  it('says pod, node and service account', async () => {
    expect(await reviewByKeys(() => keys, clock)(await token())).toEqual({
      username: SUBJECT,
      namespace: 'city',
      serviceAccount: 'default',
      podName: 'pod-a',
      podUid: 'u-2',
      nodeName: 'a',
      expiresMs: (NOW_S + 660) * 1000,
    })
  })

  const refused: readonly [string, () => Promise<string>][] = [
    ['signed by another key', async () => token({}, otherKey)],
    ['of another issuer', async () => token({ iss: 'https://elsewhere' })],
    ['for another audience', async () => token({ aud: ['kubernetes'] })],
    ['that expired more than a minute ago', async () => token({ exp: NOW_S - 61 })],
    ['that is not valid yet', async () => token({ nbf: NOW_S + 61 })],
    ['without an end', async () => token({ exp: undefined })],
    ['whose subject is not its service account', async () => token({ sub: 'system:admin' })],
    ['without the claims of Kubernetes', async () => token({ 'kubernetes.io': undefined })],
    ['that is no token', async () => Promise.resolve('invented')],
    [
      'that says it needs no signature',
      async () => {
        const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
        const [, payload] = (await token()).split('.')
        return `${part({ alg: 'none' })}.${payload}.`
      },
    ],
  ]
  it.each(refused)('is refused when it is one %s', async (_what, make) => {
    expect(await reviewByKeys(() => keys, clock)(await make())).toBeUndefined()
  })

  it('cannot be judged before the keys are known, nor with keys that are none', async () => {
    await expect(reviewByKeys(() => undefined, clock)(await token())).rejects.toThrow('not known yet')
    for (const keySet of ['', '{}', '{"keys":[]}', 'x'.repeat(300_000)]) {
      expect(() => checkTokenKeys({ issuer: ISSUER, keySet })).toThrow('token keys: key_set')
    }
    expect(() => checkTokenKeys({ ...keys, issuer: '' })).toThrow('token keys: issuer is empty')
  })

  it('is not remembered beyond its end', async () => {
    const time = { nowMs: NOW_S * 1000 }
    const moving = { now: () => time.nowMs }
    const identities = new Identities(
      reviewByKeys(() => keys, moving),
      moving,
    )
    const authorization = `Bearer ${await token({ exp: NOW_S - 50 })}`
    expect((await identities.identify(authorization)).podName).toBe('pod-a')
    time.nowMs += 10_001
    await expect(identities.identify(authorization)).rejects.toThrow('the token is not valid')
  })
})
