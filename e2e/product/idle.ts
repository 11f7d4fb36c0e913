// Who wrote what, by the API server's own audit log: an idle cluster must see no write of ours.
import { readFile } from 'node:fs/promises'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { listObjects, NAMESPACE } from './install.ts'

interface AuditEvent {
  stage: string
  verb: string
  requestURI: string
  user: { username: string }
  objectRef?: { resource?: string }
}

const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection']

/** Not objects of anybody's interest: the leader's sign of life, and questions that the API models as creates. */
const NOT_COUNTED = ['leases', 'tokenreviews']

/** Writes by the install's service accounts since the cluster came up. */
export async function operatorWrites(cluster: Pick<Cluster, 'auditLog'>): Promise<string[]> {
  const lines = (await readFile(cluster.auditLog, 'utf8')).trimEnd().split('\n')
  return lines
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter((event) => event.stage === 'ResponseComplete' && WRITES.includes(event.verb))
    .filter((event) => event.user.username.startsWith(`system:serviceaccount:${NAMESPACE}:`))
    .filter((event) => !NOT_COUNTED.includes(event.objectRef?.resource ?? ''))
    .map((event) => `${event.user.username} ${event.verb} ${event.requestURI}`)
}

/** Deletes every pod of the install and waits until their successors are Ready. */
export async function restartEverything(cluster: Cluster): Promise<void> {
  await cluster.kubectl(['delete', 'pods', '--all', `--namespace=${NAMESPACE}`, '--timeout=120s'], {
    timeoutMs: 150_000,
  })
  for (const kind of ['deployment', 'statefulset', 'daemonset']) {
    const objects = await listObjects<{ metadata: { name: string } }>(
      cluster,
      kind,
      `--namespace=${NAMESPACE}`,
    )
    for (const { metadata } of objects) {
      await cluster.kubectl(
        ['rollout', 'status', `${kind}/${metadata.name}`, `--namespace=${NAMESPACE}`, '--timeout=180s'],
        { timeoutMs: 200_000 },
      )
    }
  }
}
