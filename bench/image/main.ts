/*
 * What a node downloads before it can train: our edge-agent image, compressed, against a client image with PyTorch and
 * Flower. The peer's is a lower bound: the compressed packages alone, as PyPI serves them, without Python and without
 * an operating system. PyPI's PyTorch for x86-64 carries CUDA; what a build without it would be is in the note, estimated
 * by leaving the CUDA packages out.
 *
 *   node bench/image/main.ts [--out FILE]
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { imageArchive } from '#e2e/images/build.ts'
import { architectureOf } from '#e2e/images/platform.ts'

import { report, row } from '../rows.ts'

const ONLY_FOR_GPUS = /^(nvidia|cuda|triton)/

execFileSync('node', [join(import.meta.dirname, '../../e2e/images/build.ts')], { stdio: 'inherit' })
const ours = statSync(imageArchive('edge-agent', architectureOf(process.arch))).size / 1e6
const folder = mkdtempSync(join(tmpdir(), 'tributary-image-'))
try {
  const requirements = join(import.meta.dirname, 'requirements.txt')
  const args = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--dest',
    folder,
    '-r',
    requirements,
  ]
  execFileSync('python3', args, { stdio: 'inherit' })
  const wheels = readdirSync(folder).map((name) => ({
    name,
    megabytes: statSync(join(folder, name)).size / 1e6,
  }))
  const total = sum(wheels)
  const withoutCuda = sum(wheels.filter(({ name }) => !ONLY_FOR_GPUS.test(name)))
  report({
    rows: [
      row({
        name: 'edge-agent image, compressed, as a share of the packages of a PyTorch client',
        value: ours / total,
        goal: 0.1,
        direction: 'atMost',
        note: `${ours.toFixed(1)} MB against ${total.toFixed(0)} MB; ${withoutCuda.toFixed(0)} MB without the CUDA packages that it depends on`,
      }),
    ],
    versions: { torch: '2.15.0', flwr: '1.42.0' },
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function sum(wheels: readonly { megabytes: number }[]): number {
  return wheels.reduce((total, { megabytes }) => total + megabytes, 0)
}
