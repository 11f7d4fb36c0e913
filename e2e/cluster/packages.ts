// The programs that come from the Linux distribution. On Debian and its relatives missing ones are installed; anywhere
// else the error says what is missing.
import { access } from 'node:fs/promises'
import type { Progress } from './progress.ts'
import { run, tryRun } from './run.ts'

interface Requirement {
  /** A file that is there when the package is. */
  readonly file: string
  readonly package: string
}

export const clusterPackages: readonly Requirement[] = [
  { file: '/usr/bin/containerd', package: 'containerd' },
  { file: '/usr/sbin/runc', package: 'runc' },
  { file: '/usr/lib/cni/ptp', package: 'containernetworking-plugins' },
  { file: '/usr/sbin/iptables', package: 'iptables' },
  { file: '/sbin/ip', package: 'iproute2' },
  { file: '/usr/bin/nsenter', package: 'util-linux' },
]

export const imagePackages: readonly Requirement[] = [
  { file: '/usr/bin/buildah', package: 'buildah' },
  { file: '/usr/bin/strip', package: 'binutils' },
  { file: '/etc/ssl/certs/ca-certificates.crt', package: 'ca-certificates' },
]

export async function ensurePackages(
  requirements: readonly Requirement[],
  progress: Progress,
): Promise<void> {
  const missing = await missingPackages(requirements)
  if (missing.length === 0) return
  const list = missing.join(' ')
  if ((await tryRun('apt-get', ['--version'])) === undefined) {
    throw new Error(
      `missing packages: ${list}; install them with this system's package manager (names are Debian's)`,
    )
  }
  if (process.getuid?.() !== 0)
    throw new Error(`missing packages: ${list}; run \`apt-get install ${list}\` as root`)
  const step = progress.begin(`installing ${list}`)
  try {
    const timeoutMs = 15 * 60_000
    await run('apt-get', ['update', '-qq'], { timeoutMs })
    const install = ['install', '--yes', '--no-install-recommends', '-qq', ...missing]
    await run('apt-get', install, { timeoutMs, environment: { DEBIAN_FRONTEND: 'noninteractive' } })
    step.end()
  } catch (error) {
    step.fail()
    throw error
  }
}

export async function missingPackages(requirements: readonly Requirement[]): Promise<string[]> {
  const checks = await Promise.all(
    requirements.map(async (one) =>
      access(one.file).then(
        () => [],
        () => [one.package],
      ),
    ),
  )
  return [...new Set(checks.flat())]
}
