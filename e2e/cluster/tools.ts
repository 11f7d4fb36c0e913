// Finds the cluster's programs, and builds those that are missing or whose pinned version changed. Programs are
// kept machine-wide under the digest of what they are built from, so a second checkout links instead of building.
import { createHash } from 'node:crypto'
import { copyFile, link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buildTool, goEnvironment } from './go-build.ts'
import { binFolder, toolModulesFolder } from './paths.ts'
import type { Progress } from './progress.ts'
import { tools, type Tool, type ToolName } from './tool-list.ts'

export interface ToolSettings {
  /** Machine-wide, e.g. ~/.cache/tributary/bin. */
  readonly cacheFolder: string
  readonly progress: Progress
}

export function toolPath(name: ToolName): string {
  return path.join(binFolder, name)
}

/** Brings every named tool into the checkout's bin folder, in the order given. */
export async function ensureTools(names: readonly ToolName[], settings: ToolSettings): Promise<void> {
  for (const [index, name] of names.entries()) {
    await ensureTool(tools[name], settings, `[${String(index + 1)}/${String(names.length)}]`)
  }
}

async function ensureTool(tool: Tool, settings: ToolSettings, position: string): Promise<void> {
  const digest = await toolDigest(tool)
  const binary = path.join(binFolder, tool.name)
  const stamp = path.join(binFolder, `.${tool.name}.digest`)
  if ((await exists(binary)) && (await readFile(stamp, 'utf8').catch(() => '')) === digest) return
  const cached = path.join(settings.cacheFolder, digest.slice(0, 16), tool.name)
  if (!(await exists(cached))) {
    await mkdir(path.dirname(cached), { recursive: true })
    const step = settings.progress.begin(`${position} building ${tool.name}`)
    try {
      await buildTool(tool, cached, step)
      step.end()
    } catch (error) {
      step.fail()
      throw error
    }
  }
  await mkdir(binFolder, { recursive: true })
  await linkOrCopy(cached, binary)
  await writeFile(stamp, digest)
}

/** Changes with the pinned versions, our own sources, the build's flags and the kind of machine. */
async function toolDigest(tool: Tool): Promise<string> {
  const folder = path.join(toolModulesFolder, tool.module)
  const hash = createHash('sha256')
  hash.update(JSON.stringify([tool, goEnvironment, process.platform, process.arch]))
  for (const file of (await readdir(folder)).sort()) {
    hash.update(`${file}\0`).update(await readFile(path.join(folder, file)))
  }
  return hash.digest('hex')
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  const temporary = `${to}.new`
  await rm(temporary, { force: true })
  // The cache may be on another file system.
  await link(from, temporary).catch(() => copyFile(from, temporary))
  await rename(temporary, to)
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
