// A control group for each node, under one for the cluster, in every hierarchy the machine has (version 1) or in the
// only one (version 2). All of a node's processes are somewhere below its group, which is how they are found again.
import { access, mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { waitFor } from '../wait.ts'

/** Where kubelet and the container runtime themselves run, beside the pods' groups. */
export const systemGroup = 'system'

interface Hierarchy {
  readonly folder: string
  readonly version: 1 | 2
  readonly controllers: readonly string[]
}

export async function ensureNodeCgroup(cgroup: string): Promise<void> {
  for (const hierarchy of hierarchiesInUse(await hierarchies())) {
    let folder = hierarchy.folder
    for (const part of [...cgroup.split('/').filter((name) => name !== ''), systemGroup]) {
      if (hierarchy.version === 2) await passControllersOn(folder)
      const parent = folder
      folder = path.join(folder, part)
      await mkdir(folder, { recursive: true })
      if (hierarchy.controllers.includes('cpuset')) await inheritCpuset(parent, folder)
    }
  }
}

/** Files to which a process writes its pid to become one of the node's. */
export async function systemProcsFiles(cgroup: string): Promise<string[]> {
  const marking = hierarchiesInUse(await hierarchies()).filter(
    (one) => one.version === 2 || one.controllers.includes('pids'),
  )
  return marking.map((one) => path.join(one.folder, cgroup, systemGroup, 'cgroup.procs'))
}

/** Pids of all processes in the group and below it. */
export async function processesIn(cgroup: string): Promise<number[]> {
  const found = new Set<number>()
  for (const hierarchy of await hierarchies()) {
    for (const folder of await groupsBelow(path.join(hierarchy.folder, cgroup))) {
      const pids = await readFile(path.join(folder, 'cgroup.procs'), 'utf8').catch(() => '')
      for (const pid of pids.split('\n').filter((line) => line !== '')) found.add(Number(pid))
    }
  }
  return [...found]
}

/** Ends every process in the group and below it, whatever started them. */
export async function killProcessesIn(cgroup: string): Promise<void> {
  await waitFor({ what: `end of the processes in control group ${cgroup}`, timeoutMs: 30_000 }, async () => {
    const pids = await processesIn(cgroup)
    for (const pid of pids) kill(pid)
    return pids.length === 0 ? true : undefined
  })
}

export async function removeCgroup(cgroup: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const folders = await groupsBelow(path.join(hierarchy.folder, cgroup))
    for (const folder of folders.reverse()) {
      await waitFor(
        { what: `removal of control group ${folder}`, timeoutMs: 10_000, intervalMs: 50 },
        async () => {
          await rmdir(folder)
          return true
        },
      )
    }
  }
}

export async function cgroupRemains(cgroup: string): Promise<string[]> {
  const folders = (await hierarchies()).map((hierarchy) => path.join(hierarchy.folder, cgroup))
  const present = await Promise.all(folders.map(async (folder) => ((await exists(folder)) ? [folder] : [])))
  return present.flat()
}

async function hierarchies(): Promise<Hierarchy[]> {
  return parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'))
}

/** Every control group hierarchy in /proc/self/mountinfo. */
export function parseHierarchies(mountinfo: string): Hierarchy[] {
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [before = '', after = ''] = line.split(' - ')
    const folder = before.split(' ')[4]
    const [type, , options = ''] = after.split(' ')
    if (folder === undefined || (type !== 'cgroup' && type !== 'cgroup2')) return []
    return [{ folder, version: type === 'cgroup' ? 1 : 2, controllers: options.split(',') }]
  })
}

/** On a machine with both versions containers use the first; the runtime leaves groups in the second all the same. */
export function hierarchiesInUse(all: readonly Hierarchy[]): readonly Hierarchy[] {
  const first = all.filter((hierarchy) => hierarchy.version === 1)
  return first.length > 0 ? first : all
}

/** The group itself first, then what is below it, parents before children. */
async function groupsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined)
  if (entries === undefined) return []
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => groupsBelow(path.join(folder, entry.name))),
  )
  return [folder, ...below.flat()]
}

/** A new cpuset is empty and would let no process in. */
async function inheritCpuset(parent: string, folder: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    await writeFile(path.join(folder, file), await readFile(path.join(parent, file), 'utf8'))
  }
}

async function passControllersOn(folder: string): Promise<void> {
  const controllers = (await readFile(path.join(folder, 'cgroup.controllers'), 'utf8')).trim().split(' ')
  const wanted = controllers.filter((name) =>
    ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'].includes(name),
  )
  await writeFile(path.join(folder, 'cgroup.subtree_control'), wanted.map((name) => `+${name}`).join(' '))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function exists(folder: string): Promise<boolean> {
  return access(folder).then(
    () => true,
    () => false,
  )
}
