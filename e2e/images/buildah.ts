// Builds an image from a Containerfile without a registry or a daemon, into an OCI archive whose name every container
// runtime understands. An archive whose inputs have not changed is left alone.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  lstat,
  lutimes,
  mkdir,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { stateFolder } from '#e2e/cluster/paths.ts'
import { run } from '#e2e/cluster/run.ts'

export interface ImageBuild {
  /** Fully qualified, e.g. docker.io/tributary/operator:dev. */
  readonly reference: string
  readonly containerfile: string
  /** Folder that COPY takes from. */
  readonly context: string
  readonly archive: string
  /** E.g. linux/amd64. */
  readonly platform: string
}

const timeoutMs = 10 * 60_000

/** True when the image was built, false when the archive was current. */
export async function buildImage(build: ImageBuild): Promise<boolean> {
  const digest = await inputsDigest(build)
  const stamp = `${build.archive}.inputs`
  if ((await isFile(build.archive)) && (await readFile(stamp, 'utf8').catch(() => '')) === digest)
    return false
  await mkdir(path.dirname(build.archive), { recursive: true })
  const temporary = `${build.archive}.new`
  await rm(temporary, { force: true })
  const source = ['--file', build.containerfile, '--platform', build.platform]
  const layered = ['--layers', '--format', 'oci']
  try {
    await forgetTimes(build.context)
    await buildah([
      'build',
      '--isolation',
      'chroot',
      ...source,
      ...layered,
      '--tag',
      build.reference,
      build.context,
    ])
    await buildah(['push', '--quiet', build.reference, `oci-archive:${temporary}:${build.reference}`])
    await rename(temporary, build.archive)
    await writeFile(stamp, digest)
  } finally {
    await rm(temporary, { force: true })
  }
  return true
}

const storeFolder = path.join(stateFolder, 'buildah')

/** Forgets layers: only archives are kept, since the store would hold every old image uncompressed. */
export async function removeImageStore(): Promise<void> {
  await rm(storeFolder, { recursive: true, force: true })
}

/** The same files then make the same layer, which images share and nodes unpack once. */
async function forgetTimes(folder: string): Promise<void> {
  const files = await readdir(folder, { recursive: true })
  for (const file of files) await lutimes(path.join(folder, file), 0, 0)
}

async function buildah(args: readonly string[]): Promise<void> {
  const store = ['--root', path.join(storeFolder, 'root'), '--runroot', path.join(storeFolder, 'run')]
  await run('buildah', [...store, '--storage-driver', 'vfs', ...args], { timeoutMs })
}

/** Changes with the Containerfile, the platform and every file's name, kind, mode and content. */
async function inputsDigest(build: ImageBuild): Promise<string> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([build.reference, build.platform, await readFile(build.containerfile, 'utf8')]))
  for (const file of (await readdir(build.context, { recursive: true })).sort()) {
    const full = path.join(build.context, file)
    const status = await lstat(full)
    hash.update(`\0${file}\0${String(status.mode)}\0`)
    if (status.isSymbolicLink()) hash.update(await readlink(full))
    else if (status.isFile()) for await (const piece of createReadStream(full)) hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (status) => status.isFile(),
    () => false,
  )
}
