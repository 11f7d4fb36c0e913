// Checks service-account tokens against the cluster's public keys, without asking the API server: signature, issuer, audience and
// time. A token counts until it expires, even when its pod is gone meanwhile; the plan's pod names say who may still speak.
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose'
import { z } from 'zod'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'
import { TOKEN_AUDIENCE } from '#federation/wire/names.ts'
import type { Clock } from '../clock.ts'
import type { ReviewedIdentity, TokenReviewer } from './identity.ts'

const MAXIMUM_KEY_SET = 256 * 1024
/** What a cluster may sign with. A token chooses among them by its key, never by its own word alone. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** Clocks of edge nodes may differ by so much from the one that issued the token. */
const CLOCK_TOLERANCE_S = 60

const KeySet = z.object({
  keys: z
    .array(z.looseObject({ kty: z.string() }))
    .min(1)
    .max(100),
})

const name = z.string().min(1).max(253)
const Named = z.object({ name, uid: z.string().max(64) })
/** What the API server puts into a token that is bound to a pod. */
const KubernetesClaims = z.object({
  namespace: name,
  serviceaccount: Named,
  pod: Named.optional(),
  node: Named.partial({ uid: true }).optional(),
})

/** Throws, saying what would be right, for keys that cannot be used. */
export function checkTokenKeys({ issuer, keySet }: TokenKeys): JSONWebKeySet {
  if (issuer === '') throw new Error('token keys: issuer is empty; expected the issuer of the cluster')
  if (keySet.length > MAXIMUM_KEY_SET) {
    throw new Error(
      `token keys: key_set has ${keySet.length} characters; at most ${MAXIMUM_KEY_SET} are taken`,
    )
  }
  const parsed = KeySet.safeParse(parseJson(keySet))
  if (parsed.success) return parsed.data
  throw new Error('token keys: key_set is no JSON Web Key Set with 1 to 100 keys (RFC 7517)')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @param keys the newest that are known; undefined before the first */
export function reviewByKeys(keys: () => TokenKeys | undefined, clock: Clock): TokenReviewer {
  return async (token) => {
    const known = keys()
    if (!known) throw new Error('the keys of the cluster are not known yet')
    const payload = await verified(token, known, clock)
    return payload && identityOf(payload)
  }
}

/** Undefined for a token that these keys do not vouch for. */
async function verified(token: string, keys: TokenKeys, clock: Clock): Promise<JWTPayload | undefined> {
  const keySet = createLocalJWKSet(checkTokenKeys(keys))
  try {
    const { payload } = await jwtVerify(token, keySet, {
      ...{ issuer: keys.issuer, audience: TOKEN_AUDIENCE, algorithms: ALGORITHMS },
      ...{ clockTolerance: CLOCK_TOLERANCE_S, currentDate: new Date(clock.now()) },
      requiredClaims: ['exp'],
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}

function identityOf(payload: JWTPayload): ReviewedIdentity | undefined {
  const claims = KubernetesClaims.safeParse(payload['kubernetes.io'])
  if (!claims.success || payload.exp === undefined) return undefined
  const { namespace, serviceaccount, pod, node } = claims.data
  const username = `system:serviceaccount:${namespace}:${serviceaccount.name}`
  if (payload.sub !== username) return undefined
  const pods = { podName: pod?.name, podUid: pod?.uid, nodeName: node?.name }
  const expiresMs = (payload.exp + CLOCK_TOLERANCE_S) * 1000
  return { username, namespace, serviceAccount: serviceaccount.name, ...pods, expiresMs }
}
