// The command lines of etcd and the Kubernetes control plane, shared by the full cluster and by the API server
// that stands alone. Only arguments and the files they name: starting and stopping is the callers' business.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stringify } from 'yaml'
import { CertificateAuthority, serviceAccountKey, type PemPair } from './certificates.ts'
import { toolPath } from './tools.ts'

export interface EtcdAddresses {
  readonly dataFolder: string
  readonly clientUrl: string
  readonly peerUrl: string
}

export interface ApiServerSettings {
  readonly address: string
  readonly port: number
  readonly etcdUrl: string
  readonly serviceRange: string
  readonly credentialsFolder: string
  readonly auditLog: string
  /** Further flags, which win over the ones here. */
  readonly extra: readonly string[]
}

export function etcdCommand(addresses: EtcdAddresses): string[] {
  return [
    toolPath('etcd'),
    '--name=default',
    `--data-dir=${addresses.dataFolder}`,
    `--listen-client-urls=${addresses.clientUrl}`,
    `--advertise-client-urls=${addresses.clientUrl}`,
    `--listen-peer-urls=${addresses.peerUrl}`,
    `--initial-advertise-peer-urls=${addresses.peerUrl}`,
    `--initial-cluster=default=${addresses.peerUrl}`,
    // A test cluster outlives killed processes but not a power cut.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

export function apiServerCommand(settings: ApiServerSettings): string[] {
  const file = (name: string): string => path.join(settings.credentialsFolder, name)
  return [
    toolPath('kube-apiserver'),
    `--bind-address=${settings.address}`,
    `--secure-port=${String(settings.port)}`,
    `--advertise-address=${settings.address}`,
    `--etcd-servers=${settings.etcdUrl}`,
    `--service-cluster-ip-range=${settings.serviceRange}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--tls-cert-file=${file('api-server.crt')}`,
    `--tls-private-key-file=${file('api-server.key')}`,
    `--service-account-key-file=${file('service-account.key')}`,
    `--service-account-signing-key-file=${file('service-account.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--audit-log-path=${settings.auditLog}`,
    `--audit-policy-file=${file('audit-policy.yaml')}`,
    '--audit-log-maxsize=100',
    '--audit-log-maxbackup=2',
    ...settings.extra,
  ]
}

export interface Credentials {
  readonly authority: CertificateAuthority
  readonly admin: PemPair
}

/** Makes the authority and everything the API server needs; the files stay where they are across restarts. */
export async function writeCredentials(folder: string, addresses: readonly string[]): Promise<Credentials> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const authority = await CertificateAuthority.create('tributary-test-cluster')
  const server = await authority.server('kube-apiserver', {
    dns: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    addresses,
  })
  const admin = await authority.user('admin', ['system:masters'])
  const secret = async (name: string, content: string): Promise<void> =>
    writeFile(path.join(folder, name), content, { mode: 0o600 })
  await writePair(folder, 'ca', { certificate: authority.certificate, key: authority.keyPem })
  await writePair(folder, 'api-server', server)
  await writePair(folder, 'admin', admin)
  await secret('service-account.key', serviceAccountKey())
  await writeFile(path.join(folder, 'audit-policy.yaml'), auditPolicy)
  return { authority, admin }
}

export async function writePair(folder: string, name: string, pair: PemPair): Promise<void> {
  await writeFile(path.join(folder, `${name}.crt`), pair.certificate)
  await writeFile(path.join(folder, `${name}.key`), pair.key, { mode: 0o600 })
}

// Who did what, without bodies: enough to count requests by user agent, verb and resource.
export const auditPolicy = stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
})
