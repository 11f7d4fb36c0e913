import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { defaultTopology } from '../topology.ts'
import { kindConfig, labelArguments } from './config.ts'
import { nodeFolder } from './kind-cluster.ts'
import { containerName } from './provider.ts'

interface KindFile {
  readonly nodes: readonly {
    readonly role: string
    readonly extraMounts: readonly { readonly hostPath: string; readonly containerPath: string }[]
    readonly kubeadmConfigPatches: readonly string[]
  }[]
}

const config = parse(
  kindConfig({
    topology: defaultTopology,
    hostPath: (node, folder) => `/host/${node}${folder}`,
    credentialsFolder: '/host',
    logsFolder: '/host/logs',
  }),
) as KindFile

const registrations = config.nodes.map(
  (node) =>
    parse(node.kubeadmConfigPatches.at(-1)!) as {
      kind: string
      nodeRegistration: { name: string; taints: object[] }
    },
)

describe('the kind configuration', () => {
  it('names the nodes as the topology does, with one control plane and no taint on it', () => {
    expect(registrations.map(({ nodeRegistration }) => nodeRegistration.name)).toEqual(
      defaultTopology.nodes.map((node) => node.name),
    )
    expect(config.nodes.map((node) => node.role)).toEqual([
      'control-plane',
      'worker',
      'worker',
      'worker',
      'worker',
    ])
    expect(registrations[0]).toMatchObject({ kind: 'InitConfiguration', nodeRegistration: { taints: [] } })
  })

  it('taints edge nodes from the start and gives each data folders of its own', () => {
    expect(registrations[1]?.nodeRegistration.taints).toEqual([
      { key: 'node-role.kubernetes.io/edge', effect: 'NoSchedule' },
    ])
    const folders = config.nodes.flatMap((node) => node.extraMounts.map((mount) => mount.hostPath))
    expect(new Set(folders).size).toBe(folders.length)
  })

  it('tells the API server to write the audit log that stories read', () => {
    const patch = parse(config.nodes[0]!.kubeadmConfigPatches[0]!) as object
    expect(patch).toMatchObject({
      kind: 'ClusterConfiguration',
      apiServer: { extraArgs: { 'audit-log-path': '/var/log/tributary/audit.log' } },
      controllerManager: { extraArgs: { 'node-monitor-grace-period': '20s' } },
    })
  })
})

describe('a kind node', () => {
  it('is the container that kind names by role and order', () => {
    expect([0, 1, 2, 3].map((index) => containerName('t', index))).toEqual([
      't-control-plane',
      't-worker',
      't-worker2',
      't-worker3',
    ])
  })

  it('gets the labels that a kubelet may not give itself', () => {
    expect(labelArguments({ name: 'edge-a1', role: 'edge', zone: 'zone-a' })).toContain(
      'node-role.kubernetes.io/edge=',
    )
  })

  it('shows this machine its data folders and no other', () => {
    expect(nodeFolder('default', 'edge-a1', '/srv/tributary/data')).toContain(
      '/nodes/edge-a1/root/srv/tributary/data',
    )
    expect(() => nodeFolder('default', 'edge-a1', '/srv/tributary/../other')).toThrow(/sees only/)
  })
})
