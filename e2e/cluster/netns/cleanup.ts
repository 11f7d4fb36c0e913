// Takes a netns cluster away: by its records where there are any, and by its names where there are none, so that an
// `up` that died at any point is cleaned up as well. Ends no process and removes no link that is not the cluster's.
import { access, readFile, readdir, readlink, rm } from 'node:fs/promises'
import { recordNames, stopProcess } from '../process-record.ts'
import type { Progress } from '../progress.ts'
import { cgroupRemains, killProcessesIn, processesIn, removeCgroup } from './cgroups.ts'
import { stopControlPlane } from './control-plane.ts'
import type { NetnsLayout } from './layout.ts'
import { networkRemains, removeNetwork } from './network.ts'

export async function removeRemains(layout: NetnsLayout, progress: Progress): Promise<void> {
  const step = progress.begin(`taking down cluster "${layout.clusterName}"`)
  try {
    step.update('pods and nodes')
    // All of a node's processes are in its control group, and its mounts are in a namespace that ends with them.
    await killProcessesIn(layout.cgroup)
    // But for commands that a killed `up` was running on a node: those are in the node's mount namespace only.
    for (const pid of await processesMounting(layout.folder)) killNow(pid)
    step.update('control plane')
    await stopControlPlane(layout)
    for (const name of await recordNames(layout.recordsFolder)) await stopProcess(layout.recordsFolder, name)
    step.update('network and control groups')
    await removeNetwork(layout)
    await removeCgroup(layout.cgroup)
    step.update('files')
    await rm(layout.folder, { recursive: true, force: true })
    step.end('down')
  } catch (error) {
    step.fail()
    throw error
  }
}

export interface Remains {
  readonly processes: readonly number[]
  readonly links: readonly string[]
  readonly namespaces: readonly string[]
  readonly controlGroups: readonly string[]
  readonly mounts: readonly string[]
  readonly files: readonly string[]
}

/** What of the cluster is on the machine; every list is empty after `down`. */
export async function remains(layout: NetnsLayout): Promise<Remains> {
  const network = await networkRemains(layout)
  return {
    processes: [
      ...new Set([
        ...(await processesIn(layout.cgroup)),
        ...(await processesNaming(layout.folder)),
        ...(await processesMounting(layout.folder)),
      ]),
    ],
    links: network.links,
    namespaces: network.namespaces,
    controlGroups: await cgroupRemains(layout.cgroup),
    mounts: await mountsNaming([layout.folder, layout.netnsPrefix]),
    files: (await exists(layout.folder)) ? [layout.folder] : [],
  }
}

/** Processes that have the folder on their command line. */
function processesNaming(folder: string): Promise<number[]> {
  return otherProcesses(async (pid) => {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return commandLine.includes(`${folder}/`)
  })
}

/** Processes in a mount namespace of their own that shows parts of the folder: whatever runs on one of its nodes. */
async function processesMounting(folder: string): Promise<number[]> {
  const ours = await readlink('/proc/self/ns/mnt')
  return otherProcesses(async (pid) => {
    const theirs = await readlink(`/proc/${pid}/ns/mnt`).catch(() => ours)
    if (theirs === ours) return false
    return (await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')).includes(`${folder}/`)
  })
}

async function otherProcesses(is: (pid: string) => Promise<boolean>): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const found = await Promise.all(pids.map(async (pid) => ((await is(pid)) ? [Number(pid)] : [])))
  return found.flat()
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It may have ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function mountsNaming(parts: readonly string[]): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  return mounts.filter((mount) => parts.some((part) => mount.includes(part)))
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
