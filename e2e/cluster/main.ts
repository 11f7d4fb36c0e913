// The clusters' command line, which the Makefile calls: up, down, status, tools, apiserver.
import os from 'node:os'
import path from 'node:path'
import { Command, Option } from 'commander'
import { startApiServer } from './api-server.ts'
import type { ProviderName } from './cluster.ts'
import { progressTo } from './progress.ts'
import { attachCluster, chooseProvider } from './providers.ts'
import { apiServerTools, kindTools, netnsTools } from './tool-list.ts'
import { ensureTools } from './tools.ts'
import { defaultTopology } from './topology.ts'

const progress = progressTo({
  isTTY: process.stderr.isTTY,
  write: (text) => process.stderr.write(text),
  now: () => performance.now(),
})
const cacheHome = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache')
const toolCacheFolder = path.join(cacheHome, 'tributary', 'bin')

interface ClusterFlags {
  readonly name: string
  readonly provider?: ProviderName
}

const program = new Command('cluster').description('Real Kubernetes clusters for development and tests')

clusterCommand('up', 'bring the cluster up, or verify that it is').action(async (flags: ClusterFlags) => {
  const provider = await chooseProvider(flags.provider)
  progress.note(`cluster "${flags.name}" by ${provider.name}`)
  const cluster = await provider.up({
    name: flags.name,
    topology: defaultTopology,
    progress,
    toolCacheFolder,
  })
  process.stdout.write(await cluster.kubectl(['get', 'nodes', '--label-columns=topology.kubernetes.io/zone']))
  progress.note(`export KUBECONFIG=${cluster.kubeconfig}`)
})

clusterCommand('down', 'take the cluster down and leave nothing behind').action(
  async (flags: ClusterFlags) => {
    const provider = await chooseProvider(flags.provider)
    await provider.down({ name: flags.name, progress, toolCacheFolder })
  },
)

clusterCommand('status', 'say whether the cluster is up; exit code 1 when it is not').action(
  async (flags: ClusterFlags) => {
    const cluster = await attachCluster(flags.name)
    if (cluster === undefined) {
      process.stdout.write(
        `cluster "${flags.name}" is not up, or parts of it have died; up starts what is missing\n`,
      )
      process.exitCode = 1
      return
    }
    process.stdout.write(await cluster.kubectl(['get', 'nodes', '--output=wide']))
    process.stdout.write(`KUBECONFIG=${cluster.kubeconfig}\n`)
  },
)

program
  .command('tools')
  .description('build the programs that clusters are made of')
  .addOption(new Option('--for <use>', 'which ones').choices(['apiserver', 'netns', 'kind']).default('netns'))
  .action(async (flags: { readonly for: 'apiserver' | 'netns' | 'kind' }) => {
    const names = { apiserver: apiServerTools, netns: netnsTools, kind: kindTools }[flags.for]
    await ensureTools(names, { cacheFolder: toolCacheFolder, progress })
  })

program
  .command('apiserver')
  .description('run etcd and kube-apiserver alone until interrupted')
  .action(async () => {
    await ensureTools(apiServerTools, { cacheFolder: toolCacheFolder, progress })
    const server = await startApiServer()
    process.stdout.write(`KUBECONFIG=${server.kubeconfig}\n`)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    await server.stop()
  })

function clusterCommand(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--name <name>', 'name of the cluster', 'default')
    .addOption(new Option('--provider <provider>', 'kind or netns').choices(['kind', 'netns']))
}

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
