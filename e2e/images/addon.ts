// The kernels compiled for an image's architecture, on whatever machine the image is built. They are a few dozen kilobytes,
// and both images have them: the hub merges, and training pods take the optimiser's steps.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { ensurePackages } from '#e2e/cluster/packages.ts'
import type { Progress } from '#e2e/cluster/progress.ts'
import { buildAddon } from '#federation/aggregation/native/build.ts'
import { nodeArchitectureOf, type Architecture } from './platform.ts'

const crossCompilers: Readonly<Record<Architecture, { prefix: string; packages: readonly string[] }>> = {
  amd64: { prefix: 'x86_64-linux-gnu', packages: ['gcc-x86-64-linux-gnu', 'libc6-dev-amd64-cross'] },
  arm64: { prefix: 'aarch64-linux-gnu', packages: ['gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'] },
}

/** Puts the add-on where native-kernels.ts looks for it from the bundle in `app`. */
export async function addKernels(app: string, architecture: Architecture, progress: Progress): Promise<void> {
  const wanted = nodeArchitectureOf(architecture)
  const folder = path.join(app, 'native')
  await mkdir(folder, { recursive: true })
  const compiler = process.arch === wanted ? 'cc' : await crossCompiler(architecture, progress)
  await buildAddon(compiler, wanted, path.join(folder, 'kernels.node'))
}

async function crossCompiler(architecture: Architecture, progress: Progress): Promise<string> {
  const { prefix, packages } = crossCompilers[architecture]
  const files = [`/usr/bin/${prefix}-gcc`, `/usr/${prefix}/include/stdio.h`]
  const requirements = packages.map((name, index) => ({ file: files[index] ?? '', package: name }))
  await ensurePackages(requirements, progress)
  return `${prefix}-gcc`
}
