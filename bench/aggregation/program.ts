// Our side of the merging benchmarks as the images have it: one bundle, with the compiled kernels beside it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { bundle } from '#e2e/images/bundle.ts'
import { buildAddon } from '#federation/aggregation/native/build.ts'

/** Builds it in `folder`. @returns the program's path */
export async function ourProgram(folder: string): Promise<string> {
  const program = join(folder, 'ours.mjs')
  await bundle(join(import.meta.dirname, 'ours.ts'), program)
  await mkdir(join(folder, 'native'), { recursive: true })
  await buildAddon('cc', process.arch === 'arm64' ? 'arm64' : 'x64', join(folder, 'native/kernels.node'))
  return program
}
