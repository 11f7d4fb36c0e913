// What both images stand on, without a distribution: Node.js, the C and C++ libraries it needs, the certificates of the
// public authorities, a user without rights and a folder for temporary files.
import { chmod, copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { checkoutFolder, stateFolder } from '#e2e/cluster/paths.ts'
import { run, tryRun } from '#e2e/cluster/run.ts'
import { unpackedPackages } from './debian.ts'
import { copyLibraries } from './libraries.ts'
import { nodeArchitectureOf, type Architecture } from './platform.ts'

const modulesFolder = path.join(checkoutFolder, 'node_modules')
const packages = ['libc6', 'libgcc-s1', 'libstdc++6', 'ca-certificates']

export async function makeBase(root: string, architecture: Architecture): Promise<void> {
  const unpacked = await unpackedPackages(packages, architecture)
  const node = path.join(root, 'usr/local/bin/node')
  await mkdir(path.dirname(node), { recursive: true })
  await stripInto(await nodeBinary(architecture), node)
  await chmod(node, 0o755)
  const runtime = path.join(modulesFolder, 'onnxruntime-node', onnxruntimeFolder(architecture))
  const native = (await readdir(runtime)).filter((file) => /\.(node|so)/.test(file))
  await copyLibraries(
    {
      programs: [node, ...native.map((file) => path.join(runtime, file))],
      provided: native,
      packages: unpacked,
    },
    root,
  )
  await writeAccounts(root)
  await writeAuthorities(unpacked, root)
  await mkdir(path.join(root, 'tmp'))
  await chmod(path.join(root, 'tmp'), 0o1777)
}

/** onnxruntime-node holds every system's libraries; an image gets those of its own. */
export async function copyOnnxRuntime(modules: string, architecture: Architecture): Promise<void> {
  for (const name of ['onnxruntime-node', 'onnxruntime-common']) {
    const from = path.join(modulesFolder, name)
    const parts =
      name === 'onnxruntime-node' ? ['dist', onnxruntimeFolder(architecture)] : ['dist/cjs', 'dist/esm']
    await copyInto(path.join(from, 'package.json'), path.join(modules, name, 'package.json'))
    for (const part of parts) await copyTree(path.join(from, part), path.join(modules, name, part))
  }
}

function onnxruntimeFolder(architecture: Architecture): string {
  return `bin/napi-v6/linux/${nodeArchitectureOf(architecture)}`
}

/** The binary that runs this script where it fits, the same release's package for another architecture otherwise. */
async function nodeBinary(architecture: Architecture): Promise<string> {
  const own = path.join(modulesFolder, 'node', 'bin', 'node')
  const wanted = nodeArchitectureOf(architecture)
  if (process.platform === 'linux' && process.arch === wanted) return own
  const description = await readFile(path.join(modulesFolder, 'node', 'package.json'), 'utf8')
  const { version } = JSON.parse(description) as { version: string }
  const folder = path.join(stateFolder, 'node', `${version}-linux-${wanted}`)
  const binary = path.join(folder, 'package', 'bin', 'node')
  if ((await readFile(path.join(folder, 'complete'), 'utf8').catch(() => undefined)) !== undefined)
    return binary
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const timeoutMs = 10 * 60_000
  const packed = await run('npm', ['pack', '--silent', `node-linux-${wanted}@${version}`], {
    cwd: folder,
    timeoutMs,
  })
  await run('tar', ['--extract', '--gzip', `--file=${packed.trim()}`], { cwd: folder })
  await writeFile(path.join(folder, 'complete'), '')
  return binary
}

/** Symbols are a seventh of the binary. A strip that does not know the architecture leaves it whole. */
async function stripInto(from: string, to: string): Promise<void> {
  const stripped = await tryRun('strip', ['-o', to, from])
  if (stripped === undefined) await copyFile(from, to)
}

async function writeAccounts(root: string): Promise<void> {
  const etc = path.join(root, 'etc')
  await mkdir(etc, { recursive: true })
  await writeFile(
    path.join(etc, 'passwd'),
    'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n',
  )
  await writeFile(path.join(etc, 'group'), 'root:x:0:\nnonroot:x:65532:\n')
  await writeFile(path.join(etc, 'nsswitch.conf'), 'hosts: files dns\n')
}

async function writeAuthorities(unpacked: string, root: string): Promise<void> {
  const folder = path.join(unpacked, 'usr/share/ca-certificates/mozilla')
  const certificates = await Promise.all(
    (await readdir(folder)).sort().map((file) => readFile(path.join(folder, file), 'utf8')),
  )
  await mkdir(path.join(root, 'etc/ssl/certs'), { recursive: true })
  await writeFile(path.join(root, 'etc/ssl/certs/ca-certificates.crt'), certificates.join(''))
}

async function copyTree(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || /\.(map|d\.ts)$/.test(entry.name)) continue
    const file = path.join(entry.parentPath, entry.name)
    await copyInto(file, path.join(to, path.relative(from, file)))
  }
}

async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true })
  await copyFile(from, to)
}
