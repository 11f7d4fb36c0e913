// Kills parts of the product the hard way: SIGKILL to the process of one container, found by its pod. Kubernetes then
// restarts it as it would after a crash.
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { listObjects, NAMESPACE } from './install.ts'

export type Part = 'operator' | 'hub' | 'agent' | 'training pod'

export const PARTS: Part[] = ['operator', 'hub', 'agent', 'training pod']

/** A container's processes are those whose control group bears its name. */
const KILL_ALL_OF =
  'for p in /proc/[0-9]*; do if grep -qs "$1" "$p/cgroup"; then kill -9 "${p#/proc/}"; fi; done; true'

interface Pod {
  metadata: { name: string; namespace: string; uid: string }
  spec: { nodeName?: string }
  status?: { containerStatuses?: { containerID?: string; restartCount: number }[] }
}

/** Kills one running container of the part; `pick` in [0, 1) says which. Returns what was killed, if anything ran. */
export async function kill(
  cluster: Cluster,
  part: Part,
  campaignNamespace: string,
  pick: number,
): Promise<string | undefined> {
  const running = (await podsOf(cluster, part, campaignNamespace)).filter(
    (pod) => pod.status?.containerStatuses?.[0]?.containerID,
  )
  const pod = running[Math.floor(pick * running.length)]
  const id = pod?.status?.containerStatuses?.[0]?.containerID?.replace(/^containerd:\/\//, '')
  if (!pod?.spec.nodeName || !id || !/^[0-9a-f]{64}$/.test(id)) return undefined
  await cluster.execOnNode(pod.spec.nodeName, ['sh', '-c', KILL_ALL_OF, 'kill', id])
  return `${part} ${pod.metadata.name}`
}

function podsOf(cluster: Cluster, part: Part, campaignNamespace: string): Promise<Pod[]> {
  const component = part === 'training pod' ? 'training' : part
  const namespace = part === 'training pod' ? campaignNamespace : NAMESPACE
  return listObjects<Pod>(
    cluster,
    'pods',
    `--namespace=${namespace}`,
    `--selector=app.kubernetes.io/component=${component}`,
    '--field-selector=status.phase=Running',
  )
}
