// Installs Tributary on a cluster the way a user does: images, helm, and nothing else.
import { chown } from 'node:fs/promises'
import path from 'node:path'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { checkoutFolder } from '#e2e/cluster/paths.ts'
import { run, tryRun } from '#e2e/cluster/run.ts'
import { toolPath } from '#e2e/cluster/tools.ts'

export const NAMESPACE = 'tributary-system'

/** Port under which the hub answers on cloud nodes; the chart's default. */
const HUB_NODE_PORT = 30843

/** Of the cloud node: the hub's volume. */
export const HUB_FOLDER = '/var/lib/tributary-hub'

/** The user that the images run as. */
const IMAGE_USER = 65532

/** Namespaced, labelled for the agents' hostPath and host network; then `helm upgrade --install`. Idempotent. */
export async function installTributary(cluster: Cluster, tag: string): Promise<void> {
  await cluster.kubectl(['apply', '--filename=-'], { input: JSON.stringify(namespaceManifest(NAMESPACE)) })
  const cloud = cloudNode(cluster)
  await prepareHubFolder(cluster, cloud)
  const values = {
    hub: {
      address: `${cluster.nodeAddress(cloud)}:${HUB_NODE_PORT}`,
      nodeSelector: { 'kubernetes.io/hostname': cloud },
      persistence: { type: 'HostPath', hostPath: HUB_FOLDER },
    },
    image: { operator: { tag }, edgeAgent: { tag } },
  }
  await clearInterruptedInstall(cluster)
  const arguments_ = ['upgrade', '--install', 'tributary', path.join(checkoutFolder, 'charts', 'tributary')]
  await run(
    toolPath('helm'),
    [
      ...arguments_,
      `--namespace=${NAMESPACE}`,
      `--kubeconfig=${cluster.kubeconfig}`,
      '--wait',
      '--timeout=4m',
      '--values=-',
    ],
    { input: JSON.stringify(values), timeoutMs: 300_000 },
  )
}

/** Helm refuses to go on from an install that was interrupted; nothing runs there yet that would be lost. */
async function clearInterruptedInstall(cluster: Cluster): Promise<void> {
  const flags = [`--namespace=${NAMESPACE}`, `--kubeconfig=${cluster.kubeconfig}`]
  const text = await tryRun(toolPath('helm'), ['status', 'tributary', '--output=json', ...flags])
  const status =
    text === undefined ? undefined : (JSON.parse(text) as { info: { status: string } }).info.status
  if (status === 'pending-install') await uninstallTributary(cluster)
  if (status === 'pending-upgrade') await run(toolPath('helm'), ['rollback', 'tributary', ...flags])
}

/** A test cluster has no storage provisioner: the hub's volume is a folder of its node, made by whoever runs the node. */
async function prepareHubFolder(cluster: Cluster, node: string): Promise<void> {
  const folder = await cluster.hostFolder(node, HUB_FOLDER)
  await chown(folder, IMAGE_USER, IMAGE_USER)
}

/** Uninstalls; whatever is left behind is the test's to find. */
export async function uninstallTributary(cluster: Cluster): Promise<void> {
  await run(
    toolPath('helm'),
    [
      'uninstall',
      'tributary',
      `--namespace=${NAMESPACE}`,
      `--kubeconfig=${cluster.kubeconfig}`,
      '--wait',
      '--timeout=4m',
    ],
    { timeoutMs: 300_000 },
  )
}

export function edgeNodes(cluster: Cluster): string[] {
  return cluster.nodes.filter((node) => node.role === 'edge').map((node) => node.name)
}

export function cloudNode(cluster: Cluster): string {
  const cloud = cluster.nodes.find((node) => node.role === 'cloud')
  if (!cloud) throw new Error('the cluster has no cloud node')
  return cloud.name
}

/** Agents use the host's folder and network, training pods read a hostPath: both need the privileged level. */
export function namespaceManifest(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  }
}

/** An object as the API server has it; undefined when there is none. */
export async function getObject<T>(
  cluster: Cluster,
  resource: string,
  ref: { namespace: string; name: string },
): Promise<T | undefined> {
  const text = await cluster.kubectl([
    'get',
    resource,
    ref.name,
    `--namespace=${ref.namespace}`,
    '--ignore-not-found',
    '--output=json',
  ])
  return text.trim() === '' ? undefined : (JSON.parse(text) as T)
}

export async function listObjects<T>(cluster: Cluster, resource: string, ...flags: string[]): Promise<T[]> {
  const text = await cluster.kubectl(['get', resource, '--output=json', ...flags])
  return (JSON.parse(text) as { items: T[] }).items
}
