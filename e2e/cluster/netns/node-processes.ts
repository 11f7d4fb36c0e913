// The processes of a node: a keeper that holds the node's mount namespace, the container runtime, kubelet and, on
// cloud nodes, kube-proxy. All run in the node's network namespace, mount namespace and control group.
import { mkdir, readFile, readlink, rm, stat, symlink } from 'node:fs/promises'
import path from 'node:path'
import { stateFolder } from '../paths.ts'
import { isRunning, readRecord, startProcess, stopProcess } from '../process-record.ts'
import { run, tryRun } from '../run.ts'
import { toolPath } from '../tools.ts'
import { waitFor } from '../wait.ts'
import { ensureNodeCgroup, killProcessesIn, systemProcsFiles } from './cgroups.ts'
import { nodeLocalFolders, type NetnsLayout, type NodeLayout } from './layout.ts'
import { containerdSocket } from './node-config.ts'

type Role = 'keeper' | 'containerd' | 'kubelet' | 'kube-proxy'

// `sh -c <script> keeper <state folder> <private root> <folders…>`, in a fresh mount namespace. What it mounts is seen
// by the node's processes only and goes with the last of them. The checkout may itself lie below a folder that is
// replaced: its parts are held open and mounted from there, and its state stays visible at its place.
const keeperScript = `
set -e
exec 8<"$2" 9<"$1"
state="$1"; shift 2
mount --make-rshared /
for folder; do mount --no-canonicalize --bind "/proc/self/fd/8$folder" "$folder"; done
if [ ! -e "$state/bin" ]; then mkdir -p "$state"; mount --no-canonicalize --rbind /proc/self/fd/9 "$state"; fi
exec 8<&- 9<&-
exec sleep infinity
`

// `sh -c <script> <count> <procs files…> <command…>`: joins the control groups, then becomes the command.
const joinGroups = `
n="$0"
while [ "$n" -gt 0 ]; do echo $$ > "$1"; shift; n=$((n - 1)); done
exec "$@"
`

export async function ensureKeeper(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  const name = recordName(node, 'keeper')
  if ((await isRunning(layout.recordsFolder, name)) && (await isInNetns(layout, node))) return
  // What ran under a lost keeper is of no use to a new one: its mounts are in another namespace.
  await killProcessesIn(node.cgroup)
  await ensureNodeCgroup(node.cgroup)
  await makePrivateRoot(node)
  await startProcess({
    name,
    recordsFolder: layout.recordsFolder,
    logFile: logFile(layout, node, 'keeper'),
    command: [
      ...(await inGroups(node, ['nsenter', `--net=${node.netnsPath}`, '--'])),
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', keeperScript, 'keeper'],
      ...[stateFolder, node.privateRoot, ...nodeLocalFolders],
    ],
  })
  // The namespace is ready when the keeper has become `sleep`.
  await waitFor({ what: `mounts of node ${node.node.name}`, timeoutMs: 10_000, intervalMs: 20 }, async () => {
    const record = await readRecord(layout.recordsFolder, name)
    const command = await readFile(`/proc/${String(record?.pid)}/comm`, 'utf8')
    return command.trim() === 'sleep' ? true : undefined
  })
}

export async function ensureContainerd(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  const command = [
    'containerd',
    '--config',
    path.join(node.configFolder, 'containerd.toml'),
    '--log-level',
    'warn',
  ]
  await ensureInNode(layout, node, 'containerd', command)
  await waitFor({ what: `container runtime of ${node.node.name}`, timeoutMs: 60_000 }, () =>
    tryRunInNode(layout, node, ['ctr', '--address', containerdSocket, '--connect-timeout', '2s', 'version']),
  )
}

export async function ensureKubelet(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  await ensureInNode(layout, node, 'kubelet', [
    toolPath('kubelet'),
    `--config=${path.join(node.configFolder, 'kubelet.yaml')}`,
    `--kubeconfig=${path.join(node.configFolder, 'kubelet.kubeconfig')}`,
    `--hostname-override=${node.node.name}`,
    `--node-ip=${node.address}`,
    '--v=1',
  ])
}

export async function ensureKubeProxy(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  const config = path.join(node.configFolder, 'kube-proxy.yaml')
  await ensureInNode(layout, node, 'kube-proxy', [toolPath('kube-proxy'), `--config=${config}`])
}

export async function stopKubelet(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  await stopProcess(layout.recordsFolder, recordName(node, 'kubelet'))
}

/** What of the node should run and does not. */
export async function missingProcesses(layout: NetnsLayout, node: NodeLayout): Promise<string[]> {
  const wanted: Role[] = [
    'keeper',
    'containerd',
    'kubelet',
    ...(node.node.role === 'cloud' ? ['kube-proxy' as const] : []),
  ]
  const names = wanted.map((role) => recordName(node, role))
  const running = await Promise.all(names.map((name) => isRunning(layout.recordsFolder, name)))
  return names.filter((_, index) => running[index] !== true)
}

export async function runInNode(
  layout: NetnsLayout,
  node: NodeLayout,
  command: readonly string[],
  timeoutMs?: number,
): Promise<string> {
  const entered = await enter(layout, node)
  return run('nsenter', [...entered, ...command], timeoutMs === undefined ? {} : { timeoutMs })
}

async function tryRunInNode(
  layout: NetnsLayout,
  node: NodeLayout,
  command: string[],
): Promise<string | undefined> {
  return tryRun('nsenter', [...(await enter(layout, node)), ...command], { timeoutMs: 10_000 })
}

async function ensureInNode(
  layout: NetnsLayout,
  node: NodeLayout,
  role: Role,
  command: string[],
): Promise<void> {
  const name = recordName(node, role)
  if (await isRunning(layout.recordsFolder, name)) return
  await startProcess({
    name,
    recordsFolder: layout.recordsFolder,
    logFile: logFile(layout, node, role),
    command: await inGroups(node, ['nsenter', ...(await enter(layout, node)), ...command]),
  })
}

/** Arguments of nsenter that lead into the node's namespaces. */
async function enter(layout: NetnsLayout, node: NodeLayout): Promise<string[]> {
  const keeper = await readRecord(layout.recordsFolder, recordName(node, 'keeper'))
  if (keeper === undefined) throw new Error(`node ${node.node.name} does not run`)
  return [`--target=${String(keeper.pid)}`, '--mount', '--net', '--']
}

async function inGroups(node: NodeLayout, command: readonly string[]): Promise<string[]> {
  const files = await systemProcsFiles(node.cgroup)
  return ['sh', '-c', joinGroups, String(files.length), ...files, ...command]
}

async function isInNetns(layout: NetnsLayout, node: NodeLayout): Promise<boolean> {
  const record = await readRecord(layout.recordsFolder, recordName(node, 'keeper'))
  const actual = await readlink(`/proc/${String(record?.pid)}/ns/net`).catch(() => '')
  const wanted = await stat(node.netnsPath).catch(() => undefined)
  return wanted !== undefined && actual === `net:[${String(wanted.ino)}]`
}

async function makePrivateRoot(node: NodeLayout): Promise<void> {
  // As after a boot of the node: what was below /run is gone.
  await rm(path.join(node.privateRoot, 'run'), { recursive: true, force: true })
  for (const folder of [...nodeLocalFolders, '/var/lib', '/var/log', '/var/tmp', '/run/lock']) {
    await mkdir(path.join(node.privateRoot, folder), { recursive: true })
  }
  await symlink('/run', path.join(node.privateRoot, 'var/run')).catch(ignoreExisting)
  await symlink('/run/lock', path.join(node.privateRoot, 'var/lock')).catch(ignoreExisting)
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
}

function recordName(node: NodeLayout, role: Role): string {
  return `${node.node.name}.${role}`
}

function logFile(layout: NetnsLayout, node: NodeLayout, role: Role): string {
  return path.join(layout.logsFolder, `${recordName(node, role)}.log`)
}
