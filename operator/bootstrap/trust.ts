// What every part must trust, made once at install and then only read: the hub's certificate, the key that signs
// model versions, and the public halves of both in a ConfigMap for agents. All are owned by the operator's
// Deployment, so an uninstall leaves none of them behind.
import { generateKeyPairSync } from 'node:crypto'
import type { KubeClient } from '../kube/api.ts'
import { isConflict } from '../kube/errors.ts'
import { configMaps, deployments, secrets } from '../kube/resources.ts'
import type { Secret } from '../kube/resources.ts'
import type { OwnerReference } from '../kube/types.ts'
import { createHubCertificates } from './certificates.ts'

export const HUB_TLS_SECRET = 'tributary-hub-tls'
export const SIGNING_SECRET = 'tributary-signing-key'
export const TRUST_CONFIG_MAP = 'tributary-trust'

export interface Trust {
  /** PEM of the hub's certificate authority. */
  hubAuthority: string
  /** PEM (SPKI) of the Ed25519 key that signs model versions. */
  signingPublicKey: string
  /** The operator's Deployment; empty when it runs outside of one. */
  owner: OwnerReference[]
}

export interface TrustOptions {
  client: KubeClient
  /** Namespace of the installation. */
  namespace: string
  /** Deployment that owns what is made here. */
  deployment: string
  now: number
}

/** Reads what exists, makes what is missing; never replaces a key. */
export async function ensureTrust(options: TrustOptions): Promise<Trust> {
  const owner = await ownerOf(options)
  const tls = await ensureSecret(options, owner, HUB_TLS_SECRET, async () => {
    const made = await createHubCertificates(options.now)
    return { 'ca.crt': made.authority, 'tls.crt': made.certificate, 'tls.key': made.key }
  })
  const signing = await ensureSecret(options, owner, SIGNING_SECRET, () => {
    const pair = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    return Promise.resolve({ 'signing.key': pair.privateKey, 'signing.pub': pair.publicKey })
  })
  const trust = { hubAuthority: entry(tls, 'ca.crt'), signingPublicKey: entry(signing, 'signing.pub'), owner }
  await ensureTrustConfigMap(options, owner, trust)
  return trust
}

async function ownerOf({ client, namespace, deployment }: TrustOptions): Promise<OwnerReference[]> {
  const found = await client.get(deployments, { namespace, name: deployment })
  if (!found?.metadata.uid) return []
  return [{ apiVersion: 'apps/v1', kind: 'Deployment', name: deployment, uid: found.metadata.uid }]
}

async function ensureSecret(
  { client, namespace }: TrustOptions,
  ownerReferences: OwnerReference[],
  name: string,
  make: () => Promise<Record<string, string>>,
): Promise<Secret> {
  const existing = await client.get(secrets, { namespace, name })
  if (existing) return existing
  const data = Object.fromEntries(
    Object.entries(await make()).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  )
  try {
    return await client.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, ownerReferences },
      type: 'Opaque',
      data,
    })
  } catch (error) {
    // Another replica was faster: its key is the key.
    const theirs = isConflict(error) ? await client.get(secrets, { namespace, name }) : undefined
    if (theirs) return theirs
    throw error
  }
}

async function ensureTrustConfigMap(
  options: TrustOptions,
  ownerReferences: OwnerReference[],
  trust: Trust,
): Promise<void> {
  const { client, namespace } = options
  const data = { 'ca.crt': trust.hubAuthority, 'signing.pub': trust.signingPublicKey }
  const existing = await client.get(configMaps, { namespace, name: TRUST_CONFIG_MAP })
  if (existing && JSON.stringify(sorted(existing.data ?? {})) === JSON.stringify(sorted(data))) return
  await client.apply(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: TRUST_CONFIG_MAP, namespace, ownerReferences },
    data,
  })
}

function sorted(data: Record<string, string>): [string, string][] {
  return Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))
}

function entry(secret: Secret, key: string): string {
  const value = secret.data?.[key]
  if (value === undefined) {
    throw new Error(
      `Secret ${secret.metadata.namespace ?? ''}/${secret.metadata.name} has no entry ${key}: delete the Secret and restart the operator to have it made anew`,
    )
  }
  return Buffer.from(value, 'base64').toString('utf8')
}
