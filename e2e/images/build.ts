// Builds both container images as OCI archives, without a registry, and says how large they are: `node
// e2e/images/build.ts [amd64|arm64]`. An image above the limit fails the build; one whose inputs have not changed stays.
import { copyFile, cp, mkdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { ensurePackages, imagePackages } from '#e2e/cluster/packages.ts'
import { checkoutFolder, imagesFolder } from '#e2e/cluster/paths.ts'
import { progressTo, type Progress } from '#e2e/cluster/progress.ts'
import { addKernels } from './addon.ts'
import { copyOnnxRuntime, makeBase } from './base.ts'
import { buildImage, removeImageStore } from './buildah.ts'
import { bundleImages, bundlePath, images, type ImageName } from './bundle.ts'
import { architectureOf, type Architecture } from './platform.ts'

const largestImage = 80_000_000

export function imageReference(image: ImageName): string {
  return `docker.io/tributary/${image}:dev`
}

/** The archive that Cluster.loadImage takes. */
export function imageArchive(image: ImageName, architecture: Architecture): string {
  const machine = architectureOf(process.arch)
  return path.join(imagesFolder, architecture === machine ? `${image}.tar` : `${image}-${architecture}.tar`)
}

export async function buildImages(architecture: Architecture, progress: Progress): Promise<void> {
  await ensurePackages(imagePackages, progress)
  const step = progress.begin(`images for linux/${architecture}`)
  const contexts = path.join(imagesFolder, `context-${architecture}`)
  try {
    await rm(contexts, { recursive: true, force: true })
    step.update('bundles')
    await bundleImages()
    step.update('base')
    const base = path.join(contexts, 'base')
    const root = path.join(base, `rootfs-${architecture}`)
    await makeBase(root, architecture)
    await copyOnnxRuntime(path.join(root, 'app', 'node_modules'), architecture)
    await addKernels(path.join(root, 'app'), architecture, progress)
    for (const image of images) {
      step.update(image)
      await buildOne(image, architecture, { base, context: path.join(contexts, image) })
    }
    step.end()
  } catch (error) {
    step.fail()
    throw error
  } finally {
    await rm(contexts, { recursive: true, force: true })
    await removeImageStore()
  }
}

async function buildOne(
  image: ImageName,
  architecture: Architecture,
  folders: { readonly base: string; readonly context: string },
): Promise<void> {
  await mkdir(path.dirname(folders.context), { recursive: true })
  await cp(folders.base, folders.context, { recursive: true, preserveTimestamps: true })
  await copyFile(bundlePath(image), path.join(folders.context, 'main.mjs'))
  await buildImage({
    reference: imageReference(image),
    containerfile: path.join(checkoutFolder, image, 'Containerfile'),
    context: folders.context,
    archive: imageArchive(image, architecture),
    platform: `linux/${architecture}`,
  })
  const { size } = await stat(imageArchive(image, architecture))
  if (size > largestImage) {
    throw new Error(
      `image ${image} is ${megabytes(size)} compressed; at most ${megabytes(largestImage)} is right`,
    )
  }
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

if (import.meta.main) {
  const architecture = architectureNamed(process.argv[2])
  const progress = progressTo({
    isTTY: process.stderr.isTTY,
    write: (text) => process.stderr.write(text),
    now: () => performance.now(),
  })
  await buildImages(architecture, progress)
  for (const image of images) {
    const archive = imageArchive(image, architecture)
    const { size } = await stat(archive)
    process.stdout.write(
      `${imageReference(image)} linux/${architecture} ${megabytes(size)} compressed: ${archive}\n`,
    )
  }
}

function architectureNamed(name: string | undefined): Architecture {
  if (name === undefined) return architectureOf(process.arch)
  if (name === 'amd64' || name === 'arm64') return name
  throw new Error(`architecture "${name}": amd64 or arm64 is right`)
}
