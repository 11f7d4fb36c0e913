// What a cluster's API server issues, for tests: tokens of pods, signed, and the keys that they are checked against.
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'

export interface TestIssuer {
  readonly keys: TokenKeys
  /** Good for an hour, of the service account `default` unless another is given. */
  token(pod: { node: string; pod: string; namespace?: string; serviceAccount?: string }): Promise<string>
}

export async function testIssuer(): Promise<TestIssuer> {
  const issuer = 'https://kubernetes.default.svc'
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const key = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }
  return {
    keys: { issuer, keySet: JSON.stringify({ keys: [key] }) },
    token: async ({ node, pod, namespace = 'city', serviceAccount = 'default' }) =>
      await new SignJWT({
        'kubernetes.io': {
          namespace,
          serviceaccount: { name: serviceAccount, uid: `uid-of-${serviceAccount}` },
          pod: { name: pod, uid: `uid-of-${pod}` },
          node: { name: node, uid: `uid-of-${node}` },
        },
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'test' })
        .setIssuer(issuer)
        .setAudience('tributary-hub')
        .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
  }
}
