// Compiles the add-on with the merging kernels. Run by itself it does so for this machine, and only when a source is newer
// than what was built; on other systems than Linux the kernels in TypeScript serve.
import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const sourceFolder = import.meta.dirname
const headers = path.resolve(sourceFolder, '../../../node_modules/node-api-headers/include')
/** The add-on of this machine, where native-kernels.ts looks for it. */
const ownAddon = path.join(sourceFolder, 'kernels.node')
const timeout = 120_000

/** As Node.js calls them. */
type Architecture = 'x64' | 'arm64'

// Sums must have the bits of the TypeScript kernels: a product and its addition are rounded one after the other.
const always = [
  '-std=c11',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
]

interface Variant {
  readonly name: string
  readonly flags: readonly string[]
}

const baseline: Variant = { name: 'baseline', flags: [] }
const variants: Readonly<Record<Architecture, readonly Variant[]>> = {
  x64: [
    baseline,
    { name: 'avx2', flags: ['-march=x86-64-v3'] },
    { name: 'avx512', flags: ['-march=x86-64-v4', '-mprefer-vector-width=256'] },
  ],
  arm64: [baseline],
}

async function run(program: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(program, args, { timeout })
}

/** @param compiler `cc`, or a cross compiler for `architecture` */
export async function buildAddon(
  compiler: string,
  architecture: Architecture,
  output: string,
): Promise<void> {
  const folder = `${output}.objects`
  await mkdir(folder, { recursive: true })
  try {
    const objects: string[] = []
    const compile = async (source: string, name: string, flags: readonly string[] = []): Promise<void> => {
      const object = path.join(folder, `${name}.o`)
      objects.push(object)
      const file = path.join(sourceFolder, source)
      await run(compiler, [...always, ...flags, `-I${headers}`, '-c', file, '-o', object])
    }
    for (const source of ['addon', 'arguments', 'file-jobs', 'files', 'network', 'programs'])
      await compile(`${source}.c`, source)
    for (const { name, flags } of variants[architecture]) {
      const defined = [`-DVARIANT=kernels_${name}`, `-DVARIANT_NAME="${name}"`]
      for (const source of ['kernels', 'elementwise'])
        await compile(`${source}.c`, `${source}-${name}`, [...flags, ...defined])
    }
    await run(compiler, ['-shared', '-s', '-pthread', '-o', `${output}.new`, ...objects])
    await rename(`${output}.new`, output)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Builds this machine's add-on unless it is newer than everything that it is made of. */
export async function ensureAddon(): Promise<void> {
  const architecture = process.arch
  if (process.platform !== 'linux' || (architecture !== 'x64' && architecture !== 'arm64')) return
  const names = (await readdir(sourceFolder)).filter((name) => /\.[ch]$/.test(name))
  const inputs = [...names.map((name) => path.join(sourceFolder, name)), import.meta.filename]
  const built = await modified(ownAddon)
  const newest = Math.max(...(await Promise.all(inputs.map(modified))))
  if (built < newest) await buildAddon('cc', architecture, ownAddon)
}

async function modified(file: string): Promise<number> {
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
}

if (import.meta.main) await ensureAddon()
