import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bundle } from './bundle.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tributary-bundle-'))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

it('a bundle loads ONNX Runtime only when a part that needs it runs', async () => {
  const entry = path.join(folder, 'main.ts')
  await writeFile(entry, "if (process.argv[2] === 'train') await import('./part.ts')\n")
  const part = "import { Tensor } from 'onnxruntime-node'\nprocess.stdout.write(Tensor.name)\n"
  await writeFile(path.join(folder, 'part.ts'), part)
  const output = path.join(folder, 'main.mjs')
  await bundle(entry, output)
  // In place of the package: one that says when it is loaded.
  const runtime = path.join(folder, 'node_modules', 'onnxruntime-node')
  await mkdir(runtime, { recursive: true })
  await writeFile(
    path.join(runtime, 'index.js'),
    "process.stdout.write('loaded '); exports.Tensor = class Tensor {}",
  )
  expect([run(output), run(output, 'train')]).toEqual(['', 'loaded Tensor'])
})

function run(program: string, ...args: string[]): string {
  return execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' })
}
