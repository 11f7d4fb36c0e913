// Files of Debian packages for any architecture, fetched with the machine's own package sources into a folder of ours:
// nothing is installed, and the machine's package state is not touched.
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stateFolder } from '#e2e/cluster/paths.ts'
import { run } from '#e2e/cluster/run.ts'
import type { Architecture } from './platform.ts'

const timeoutMs = 5 * 60_000

/** The folder into which the packages were unpacked; unpacked once for each list of packages. */
export async function unpackedPackages(
  names: readonly string[],
  architecture: Architecture,
): Promise<string> {
  const folder = path.join(stateFolder, 'debian', architecture, [...names].sort().join('+'))
  const files = path.join(folder, 'files')
  const stamp = path.join(folder, 'complete')
  const release = await readFile('/etc/debian_version', 'utf8').catch(() => undefined)
  if (release === undefined)
    throw new Error('images take their C library from Debian packages; this machine is no Debian')
  if ((await readFile(stamp, 'utf8').catch(() => '')) === release) return files
  await rm(folder, { recursive: true, force: true })
  await mkdir(files, { recursive: true })
  const apt = await privateApt(path.join(stateFolder, 'debian', architecture, 'apt'), architecture)
  await run('apt-get', [...apt, 'update', '-qq'], { timeoutMs })
  await run('apt-get', [...apt, 'download', '-qq', ...names], { cwd: folder, timeoutMs })
  for (const archive of (await readdir(folder)).filter((file) => file.endsWith('.deb'))) {
    await run('dpkg-deb', ['--extract', path.join(folder, archive), files])
    await rm(path.join(folder, archive))
  }
  await writeFile(stamp, release)
  return files
}

/** Options that give apt lists, a cache and a package state of its own. */
async function privateApt(folder: string, architecture: Architecture): Promise<string[]> {
  await mkdir(path.join(folder, 'lists', 'partial'), { recursive: true })
  await mkdir(path.join(folder, 'cache', 'archives', 'partial'), { recursive: true })
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
    'Dir::State': folder,
    'Dir::State::lists': path.join(folder, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': path.join(folder, 'cache'),
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}
