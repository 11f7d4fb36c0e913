// The control plane of a netns cluster, on the machine itself. The API server listens on the nodes' network; etcd, the
// controller manager and the scheduler on a loopback address that no pod can reach.
import { access, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { AddressBlock } from '../addresses.ts'
import { CertificateAuthority } from '../certificates.ts'
import { apiServerCommand, etcdCommand, writeCredentials, writePair } from '../control-plane.ts'
import { kubeconfig } from '../kubeconfig.ts'
import { isRunning, startProcess, stopProcess } from '../process-record.ts'
import { tryRun } from '../run.ts'
import { toolPath } from '../tools.ts'
import type { Topology } from '../topology.ts'
import { waitFor } from '../wait.ts'
import type { NetnsLayout, NodeLayout } from './layout.ts'
import { kubeletConfig, kubeProxyConfig } from './node-config.ts'

const apiServerPort = 6443
const controlPlane = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'] as const

export function apiServerUrl(block: AddressBlock): string {
  return `https://${block.gateway}:${String(apiServerPort)}`
}

/** Certificates and kubeconfigs of everything; they are made once and stay. */
export async function ensureCredentials(
  layout: NetnsLayout,
  block: AddressBlock,
  nodes: readonly NodeLayout[],
): Promise<void> {
  const finished = path.join(layout.credentialsFolder, 'complete')
  if (await exists(finished)) return
  const folder = layout.credentialsFolder
  const { authority, admin } = await writeCredentials(folder, [
    '127.0.0.1',
    block.gateway,
    block.kubernetesService,
  ])
  const kubeletClient = await authority.user('kube-apiserver-kubelet-client', ['system:masters'])
  await writePair(folder, 'kubelet-client', kubeletClient)
  const access = new KubeconfigWriter(layout, block, authority)
  await access.write(layout.kubeconfig, 'admin', admin)
  for (const name of ['kube-controller-manager', 'kube-scheduler']) {
    await access.writeFor(path.join(folder, `${name}.kubeconfig`), `system:${name}`)
  }
  for (const node of nodes) await writeNodeCredentials(access, authority, node)
  await writeFile(finished, '')
}

async function writeNodeCredentials(
  access: KubeconfigWriter,
  authority: CertificateAuthority,
  node: NodeLayout,
): Promise<void> {
  const folder = node.configFolder
  await mkdir(folder, { recursive: true })
  const names = { dns: [node.node.name], addresses: [node.address] }
  await writePair(folder, 'kubelet', await authority.server(`kubelet of ${node.node.name}`, names))
  await access.writeFor(path.join(folder, 'kubelet.kubeconfig'), `system:node:${node.node.name}`, [
    'system:nodes',
  ])
  if (node.node.role === 'cloud')
    await access.writeFor(path.join(folder, 'kube-proxy.kubeconfig'), 'system:kube-proxy')
}

/** The configuration that follows from the layout; written at every start. */
export async function writeNodeConfigs(
  layout: NetnsLayout,
  block: AddressBlock,
  nodes: readonly NodeLayout[],
): Promise<void> {
  for (const node of nodes) {
    const file = (name: string): string => path.join(node.configFolder, name)
    await writeFile(file('kubelet.yaml'), kubeletConfig(node, layout.credentialsFolder))
    if (node.node.role === 'cloud') await writeFile(file('kube-proxy.yaml'), kubeProxyConfig(node, block))
  }
}

export async function ensureControlPlane(
  layout: NetnsLayout,
  block: AddressBlock,
  topology: Topology,
): Promise<void> {
  const etcdUrl = `http://${block.loopback}:2379`
  await ensure(layout, 'etcd', () =>
    etcdCommand({
      dataFolder: layout.etcdFolder,
      clientUrl: etcdUrl,
      peerUrl: `http://${block.loopback}:2380`,
    }),
  )
  await ensure(layout, 'kube-apiserver', () => clusterApiServer(layout, block, etcdUrl))
  await waitFor(
    { what: `API server (log ${layout.logsFolder}/kube-apiserver.log)`, timeoutMs: 120_000 },
    () =>
      tryRun(toolPath('kubectl'), [`--kubeconfig=${layout.kubeconfig}`, 'get', '--raw=/readyz'], {
        timeoutMs: 5000,
      }),
  )
  await ensure(layout, 'kube-controller-manager', () => controllerManager(layout, block, topology))
  await ensure(layout, 'kube-scheduler', () => scheduler(layout, block))
}

export async function missingControlPlane(layout: NetnsLayout): Promise<string[]> {
  const running = await Promise.all(controlPlane.map((name) => isRunning(layout.recordsFolder, name)))
  return controlPlane.filter((_, index) => running[index] !== true)
}

export async function stopControlPlane(layout: NetnsLayout): Promise<void> {
  for (const name of controlPlane) await stopProcess(layout.recordsFolder, name, 3000)
}

async function ensure(layout: NetnsLayout, name: string, command: () => string[]): Promise<void> {
  if (await isRunning(layout.recordsFolder, name)) return
  const logFile = path.join(layout.logsFolder, `${name}.log`)
  await startProcess({ name, recordsFolder: layout.recordsFolder, logFile, command: command() })
}

function clusterApiServer(layout: NetnsLayout, block: AddressBlock, etcdUrl: string): string[] {
  const file = (name: string): string => path.join(layout.credentialsFolder, name)
  return apiServerCommand({
    address: block.gateway,
    port: apiServerPort,
    etcdUrl,
    serviceRange: block.services,
    credentialsFolder: layout.credentialsFolder,
    auditLog: layout.auditLog,
    extra: [
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      `--kubelet-certificate-authority=${file('ca.crt')}`,
      `--kubelet-client-certificate=${file('kubelet-client.crt')}`,
      `--kubelet-client-key=${file('kubelet-client.key')}`,
      // Logs and exec reach a node by its address; its name resolves nowhere.
      '--kubelet-preferred-address-types=InternalIP',
    ],
  })
}

function controllerManager(layout: NetnsLayout, block: AddressBlock, topology: Topology): string[] {
  const file = (name: string): string => path.join(layout.credentialsFolder, name)
  return [
    toolPath('kube-controller-manager'),
    ...client(layout, 'kube-controller-manager'),
    `--bind-address=${block.loopback}`,
    // There is one; electing a leader would only write a lease every two seconds.
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${file('service-account.key')}`,
    `--root-ca-file=${file('ca.crt')}`,
    `--node-monitor-grace-period=${String(topology.nodeMonitorGraceSeconds)}s`,
    '--node-monitor-period=2s',
  ]
}

function scheduler(layout: NetnsLayout, block: AddressBlock): string[] {
  return [
    toolPath('kube-scheduler'),
    ...client(layout, 'kube-scheduler'),
    `--bind-address=${block.loopback}`,
    '--leader-elect=false',
  ]
}

function client(layout: NetnsLayout, name: string): string[] {
  const file = path.join(layout.credentialsFolder, `${name}.kubeconfig`)
  return [`--kubeconfig=${file}`, `--authentication-kubeconfig=${file}`, `--authorization-kubeconfig=${file}`]
}

class KubeconfigWriter {
  readonly #layout: NetnsLayout
  readonly #block: AddressBlock
  readonly #authority: CertificateAuthority

  constructor(layout: NetnsLayout, block: AddressBlock, authority: CertificateAuthority) {
    this.#layout = layout
    this.#block = block
    this.#authority = authority
  }

  async writeFor(file: string, user: string, groups: readonly string[] = []): Promise<void> {
    await this.write(file, user, await this.#authority.user(user, groups))
  }

  async write(file: string, user: string, credentials: { certificate: string; key: string }): Promise<void> {
    const content = kubeconfig({
      cluster: this.#layout.clusterName,
      server: apiServerUrl(this.#block),
      certificateAuthority: this.#authority.certificate,
      user,
      credentials,
    })
    await writeFile(file, content, { mode: 0o600 })
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
