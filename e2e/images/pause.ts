// The sandbox image of a netns cluster, as an OCI archive.
import { copyFile, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { imagesFolder } from '#e2e/cluster/paths.ts'
import { toolPath } from '#e2e/cluster/tools.ts'
import { buildImage, removeImageStore } from './buildah.ts'

/** Path of the archive, built when it is missing or old. */
export async function pauseArchive(reference: string, platform: string): Promise<string> {
  const context = path.join(imagesFolder, 'pause-context')
  const archive = path.join(imagesFolder, 'pause.tar')
  await rm(context, { recursive: true, force: true })
  await mkdir(context, { recursive: true })
  await copyFile(toolPath('pause'), path.join(context, 'pause'))
  const containerfile = path.join(import.meta.dirname, 'pause.Containerfile')
  await buildImage({ reference, containerfile, context, archive, platform })
  await rm(context, { recursive: true, force: true })
  await removeImageStore()
  return archive
}
