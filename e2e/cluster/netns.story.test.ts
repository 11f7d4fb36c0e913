// A cluster of network namespaces, from up to down, under a name of its own beside whatever else is running.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { busyboxArchive, busyboxReference } from '#e2e/images/busybox.ts'
import type { Cluster } from './cluster.ts'
import { remains } from './netns/cleanup.ts'
import { netnsLayout } from './netns/layout.ts'
import { netnsProvider } from './netns/provider.ts'
import { killProcess } from './process-record.ts'
import { silentProgress } from './progress.ts'
import { CommandFailed } from './run.ts'
import { edgeRoleLabel, type Topology } from './topology.ts'
import { waitFor } from './wait.ts'

const name = 'netns-story'
const topology: Topology = {
  nodes: [
    { name: 'cloud-1', role: 'cloud' },
    { name: 'edge-a1', role: 'edge', zone: 'zone-a' },
    { name: 'edge-b1', role: 'edge', zone: 'zone-b' },
  ],
  nodeMonitorGraceSeconds: 20,
}
const edges = ['edge-a1', 'edge-b1']
const layout = netnsLayout(name)
const cacheHome = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache')
const settings = {
  name,
  topology,
  progress: silentProgress,
  toolCacheFolder: path.join(cacheHome, 'tributary', 'bin'),
}
const nothing = { processes: [], links: [], namespaces: [], controlGroups: [], mounts: [], files: [] }
const unavailable = await netnsProvider.unavailable()

describe.skipIf(unavailable !== undefined)(
  `a cluster of network namespaces (${unavailable ?? 'here'})`,
  () => {
    let cluster: Cluster

    beforeAll(async () => {
      await netnsProvider.down(settings)
      cluster = await netnsProvider.up(settings)
      await cluster.loadImage(await busyboxArchive())
      for (const node of edges) {
        await writeFile(
          path.join(await cluster.hostFolder(node, '/srv/tributary/data'), 'index.html'),
          `data of ${node}\n`,
        )
      }
      await cluster.kubectl(['apply', '--filename=-'], { input: workloads() })
      await cluster.kubectl(['rollout', 'status', 'deployment/cloud', '--timeout=120s'])
      await cluster.kubectl(['rollout', 'status', 'daemonset/edge', '--timeout=120s'])
    })

    afterAll(async () => {
      await netnsProvider.down(settings)
    })

    it('labels and taints edge nodes, and knows their zones', async () => {
      const selector = `--selector=${edgeRoleLabel},topology.kubernetes.io/zone=zone-b`
      const found = await cluster.kubectl([
        'get',
        'nodes',
        selector,
        '--output=jsonpath={.items[*].metadata.name}',
      ])
      const taints = await cluster.kubectl([
        'get',
        'node',
        'edge-b1',
        '--output=jsonpath={.spec.taints[*].key}',
      ])
      expect([found, taints]).toEqual(['edge-b1', edgeRoleLabel])
    })

    it("keeps each node's files on that node, and answers on its hostPort", async () => {
      for (const node of edges) {
        expect(await get(`http://${cluster.nodeAddress(node)}:8088/`)).toBe(`data of ${node}\n`)
      }
      expect(await cluster.execOnNode('edge-a1', ['cat', '/srv/tributary/data/index.html'])).toBe(
        'data of edge-a1\n',
      )
    })

    it("lets edge pods reach the cloud by a NodePort of the cloud node's address and by nothing else", async () => {
      const nodePort = `http://${cluster.nodeAddress('cloud-1')}:30844/`
      expect(await fetchInPod('edge-a1', nodePort)).toBe('cloud\n')
      const clusterAddress = `http://${await serviceAddress()}/`
      await expect(fetchInPod('edge-a1', clusterAddress)).rejects.toThrow(CommandFailed)
    })

    it('gives cloud pods Services and the API server', async () => {
      expect(await fetchInPod('cloud-1', `http://${await serviceAddress()}/`)).toBe('cloud\n')
      const connect = '/bin/busybox nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" < /dev/null'
      await inPod('cloud-1', ['sh', '-c', connect])
    })

    it('mounts tokens of our audience whose review names the node and the pod', async () => {
      const token = await inPod('edge-a1', ['cat', '/var/run/secrets/tributary/token'])
      const review = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: ['tributary-hub'] },
      }
      const answer = await cluster.kubectl(['create', '--filename=-', '--output=json'], {
        input: JSON.stringify(review),
      })
      const { status } = JSON.parse(answer) as { status: { user: { extra: Record<string, string[]> } } }
      expect(status).toMatchObject({ authenticated: true, audiences: ['tributary-hub'] })
      expect(status.user.extra['authentication.kubernetes.io/node-name']).toEqual(['edge-a1'])
      expect(status.user.extra['authentication.kubernetes.io/pod-name']).toEqual([await podOn('edge-a1')])
    })

    it('grants a workload nothing that RBAC does not', async () => {
      const asWorkload = ['auth', 'can-i', 'list', 'pods', '--as=system:serviceaccount:default:default']
      await expect(cluster.kubectl(asWorkload)).rejects.toThrow(CommandFailed)
    })

    it('shows the logs of a pod', async () => {
      expect(await cluster.kubectl(['logs', await podOn('edge-b1')])).toContain('serving edge-b1')
    })

    it('notices a node that is cut off, whose pods go on running, and takes it back', async () => {
      const running = await tasks('edge-a1')
      await cluster.cutNode('edge-a1')
      await readiness('edge-a1', 'Unknown')
      expect(await tasks('edge-a1')).toEqual(running)
      await expect(
        fetch(`http://${cluster.nodeAddress('edge-a1')}:8088/`, { signal: AbortSignal.timeout(2000) }),
      ).rejects.toThrow()
      await cluster.joinNode('edge-a1')
      await readiness('edge-a1', 'True')
      expect(await tasks('edge-a1')).toEqual(running)
      expect(await get(`http://${cluster.nodeAddress('edge-a1')}:8088/`)).toBe('data of edge-a1\n')
    })

    it('stops and starts a kubelet while the pods of the node go on serving', async () => {
      await cluster.stopKubelet('edge-b1')
      await readiness('edge-b1', 'Unknown')
      expect(await get(`http://${cluster.nodeAddress('edge-b1')}:8088/`)).toBe('data of edge-b1\n')
      await cluster.startKubelet('edge-b1')
      await readiness('edge-b1', 'True')
    })

    it('repairs on the next up what has died, and leaves alone what has not', async () => {
      const before = await cluster.kubectl(['get', 'pods', '--output=jsonpath={.items[*].metadata.uid}'])
      for (const process of ['kube-apiserver', 'edge-a1.containerd', 'edge-b1.kubelet']) {
        await killProcess(layout.recordsFolder, process)
      }
      expect(await netnsProvider.attach(name)).toBeUndefined()
      cluster = await netnsProvider.up(settings)
      expect(await cluster.kubectl(['get', 'pods', '--output=jsonpath={.items[*].metadata.uid}'])).toBe(
        before,
      )
      expect(await get(`http://${cluster.nodeAddress('edge-a1')}:8088/`)).toBe('data of edge-a1\n')
      expect(await netnsProvider.attach(name)).toBeDefined()
    })

    it('refuses an up with another topology', async () => {
      const other = { ...topology, nodes: topology.nodes.slice(0, 2) }
      await expect(netnsProvider.up({ ...settings, topology: other })).rejects.toThrow(
        /another topology; take it down/,
      )
    })

    it('leaves no process, link, namespace, control group, mount or file when it is taken down', async () => {
      const standing = await remains(layout)
      for (const [kind, found] of Object.entries(standing)) expect([kind, found]).not.toEqual([kind, []])
      await netnsProvider.down(settings)
      expect(await remains(layout)).toEqual(nothing)
    })

    it.each([1500, 6000, 12_000])('leaves nothing after an up that was killed after %i ms', async (ms) => {
      const main = path.join(import.meta.dirname, 'main.ts')
      const up = spawn(process.execPath, [main, 'up', '--provider=netns', `--name=${name}`], {
        stdio: 'ignore',
      })
      const ended = new Promise((resolve) => up.once('exit', resolve))
      await sleep(ms)
      up.kill('SIGKILL')
      await ended
      await netnsProvider.down(settings)
      expect(await remains(layout)).toEqual(nothing)
    })

    async function podOn(node: string): Promise<string> {
      const selector = ['--selector=app', `--field-selector=spec.nodeName=${node}`]
      return cluster.kubectl(['get', 'pods', ...selector, '--output=jsonpath={.items[0].metadata.name}'])
    }

    async function inPod(node: string, command: string[]): Promise<string> {
      return cluster.kubectl(['exec', await podOn(node), '--', '/bin/busybox', ...command])
    }

    async function fetchInPod(node: string, url: string): Promise<string> {
      // BusyBox's own time limit, wget -T, ends the program with a fault.
      return inPod(node, ['timeout', '5', '/bin/busybox', 'wget', '-q', '-O-', url])
    }

    /** Containers of the node with the pids of their processes. */
    async function tasks(node: string): Promise<string[]> {
      const listed = await cluster.execOnNode(node, ['ctr', '--namespace', 'k8s.io', 'tasks', 'list'])
      const running = listed.split('\n').filter((line) => line.includes('RUNNING'))
      expect(running.length).toBeGreaterThan(0)
      return running.sort()
    }

    async function serviceAddress(): Promise<string> {
      return cluster.kubectl(['get', 'service', 'cloud', '--output=jsonpath={.spec.clusterIP}'])
    }

    async function readiness(node: string, wanted: string): Promise<void> {
      const query = `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`
      await waitFor(
        { what: `${node} to be Ready=${wanted}`, timeoutMs: 120_000, intervalMs: 500 },
        async () => ((await cluster.kubectl(['get', 'node', node, query])) === wanted ? true : undefined),
      )
    }
  },
)

async function get(url: string): Promise<string> {
  return waitFor({ what: `answer of ${url}`, timeoutMs: 30_000 }, async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
    return response.text()
  })
}

function workloads(): string {
  const token = { serviceAccountToken: { audience: 'tributary-hub', expirationSeconds: 600, path: 'token' } }
  const serve = (what: string): string[] => [
    'sh',
    '-c',
    `echo serving ${what} && exec /bin/busybox httpd -f -v -p 8080 -h /data`,
  ]
  const container = { name: 'web', image: busyboxReference, imagePullPolicy: 'Never' }
  const edge = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'edge' },
    spec: {
      selector: { matchLabels: { app: 'edge' } },
      template: {
        metadata: { labels: { app: 'edge' } },
        spec: {
          dnsPolicy: 'Default',
          nodeSelector: { [edgeRoleLabel]: '' },
          tolerations: [{ key: edgeRoleLabel, operator: 'Exists' }],
          containers: [
            {
              ...container,
              args: serve('$NODE'),
              env: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
              ports: [{ containerPort: 8080, hostPort: 8088 }],
              volumeMounts: [
                { name: 'data', mountPath: '/data', readOnly: true },
                { name: 'token', mountPath: '/var/run/secrets/tributary' },
              ],
            },
          ],
          volumes: [
            { name: 'data', hostPath: { path: '/srv/tributary/data' } },
            { name: 'token', projected: { sources: [token] } },
          ],
        },
      },
    },
  }
  const cloud = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'cloud' },
    spec: {
      selector: { matchLabels: { app: 'cloud' } },
      template: {
        metadata: { labels: { app: 'cloud' } },
        spec: {
          dnsPolicy: 'Default',
          containers: [
            {
              ...container,
              args: [
                'sh',
                '-c',
                'echo cloud > /data/index.html && exec /bin/busybox httpd -f -p 8080 -h /data',
              ],
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
          volumes: [{ name: 'data', emptyDir: {} }],
        },
      },
    },
  }
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'cloud' },
    spec: {
      type: 'NodePort',
      selector: { app: 'cloud' },
      ports: [{ port: 80, targetPort: 8080, nodePort: 30844 }],
    },
  }
  return [edge, cloud, service].map((object) => stringify(object)).join('---\n')
}
