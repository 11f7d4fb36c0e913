// An image with BusyBox alone, as an OCI archive, for stories about the cluster itself.
import { copyFile, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { imagesFolder } from '#e2e/cluster/paths.ts'
import { buildImage, removeImageStore } from './buildah.ts'
import { unpackedPackages } from './debian.ts'
import { architectureOf } from './platform.ts'

export const busyboxReference = 'docker.io/tributary/busybox:dev'

/** Path of the archive, built when it is missing or old. */
export async function busyboxArchive(): Promise<string> {
  const architecture = architectureOf(process.arch)
  const unpacked = await unpackedPackages(['busybox-static'], architecture)
  const context = path.join(imagesFolder, 'busybox-context')
  const archive = path.join(imagesFolder, 'busybox.tar')
  await rm(context, { recursive: true, force: true })
  await mkdir(path.join(context, 'files', 'bin'), { recursive: true })
  await copyFile(path.join(unpacked, 'bin', 'busybox'), path.join(context, 'files', 'bin', 'busybox'))
  await buildImage({
    reference: busyboxReference,
    containerfile: path.join(import.meta.dirname, 'busybox.Containerfile'),
    context,
    archive,
    platform: `linux/${architecture}`,
  })
  await rm(context, { recursive: true, force: true })
  await removeImageStore()
  return archive
}
